//! What stands in place of Landlock and systemd on other systems: nothing, behind the same functions.

pub(crate) mod sandbox {
    use http_files::Files;

    use crate::cli::Cli;
    use crate::log_file::LogFile;
    use crate::system::unix_socket::SocketFile;
    use crate::users::UsersFile;

    pub(crate) struct Sandbox;

    impl Sandbox {
        pub(crate) fn open(
            _: &Cli,
            _: &Files,
            _: Option<&UsersFile>,
            _: Option<&LogFile>,
            _: Option<&SocketFile>,
        ) -> Result<Sandbox, String> {
            Ok(Sandbox)
        }

        pub(crate) fn restrict_process(&self) -> Option<String> {
            None
        }
    }
}

pub(crate) mod systemd {
    use http_server::Server;

    pub(crate) struct Inherited;

    /// No system but Linux has a service manager that passes sockets in this way.
    pub(crate) fn inherited() -> Result<Inherited, String> {
        Ok(Inherited)
    }

    impl Inherited {
        pub(crate) fn is_empty(&self) -> bool {
            true
        }

        pub(crate) fn server(self, _: bool) -> Result<Option<Server>, String> {
            Ok(None)
        }
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Notifier;

    impl Notifier {
        pub(crate) fn from_env() -> Notifier {
            Notifier
        }

        pub(crate) fn is_connected(&self) -> bool {
            false
        }

        pub(crate) fn notify(&self, _: &str) {}
    }
}
