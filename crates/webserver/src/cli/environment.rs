//! Options from the environment: `WEBSERVER_` and the name of the option. The command line wins. What an option means is
//! decided elsewhere.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, Error, Parser};
use clap_lex::OsStrExt;

use super::{Cli, INFORMATION};

const PREFIX: &str = "WEBSERVER_";

/// Kubernetes sets these for a service that is named `webserver`.
const OF_KUBERNETES: [&str; 2] = ["WEBSERVER_SERVICE_", "WEBSERVER_PORT_"];

/// The options of a command line, and of the variables that it does not override. Returns notes on variables, too.
pub(super) fn parse(
    arguments: &[OsString],
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Cli, Vec<String>), Error> {
    let mut command = Cli::command();
    let given = command.try_get_matches_from_mut(arguments)?;
    let (mut notes, mut root) = (Vec::new(), None);
    let mut all = vec![OsString::from("webserver")];
    for (name, value) in variables {
        let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name }; // no case counts there
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if value.is_empty() {
            continue;
        }
        let Some(arg) = command.get_arguments().find(|arg| variable(arg).is_some_and(|variable| variable == name))
        else {
            if !OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix)) {
                notes.push(format!("{name} is the variable of no option (see --help)"));
            }
            continue;
        };
        if is_on_command_line(arg, &given) {
            continue;
        }
        if name == "WEBSERVER_PORT" && value.starts_with("tcp://") {
            notes.push(format!(
                "{name}={value:?} is ignored: Kubernetes sets it for a service of that name (see --port)"
            ));
        } else if arg.is_positional() {
            root = Some(value.into());
        } else {
            match options(arg, &value).and_then(check) {
                Ok(options) => all.extend(options),
                Err(cause) => return Err(command.error(ErrorKind::ValueValidation, format!("{name}: {cause}"))),
            }
        }
    }
    all.extend(arguments.iter().skip(1).cloned());
    let mut cli = Cli::try_parse_from(all)?;
    if let Some(root) = root {
        cli.root = root;
    }
    Ok((cli, notes))
}

/// The variable of an option, or of ROOT. What prints something and exits has none.
fn variable(arg: &Arg) -> Option<String> {
    let name = arg.get_long().unwrap_or(arg.get_id().as_str());
    let has_one = arg.get_help_heading() != Some(INFORMATION);
    has_one.then(|| format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_")))
}

fn is_on_command_line(arg: &Arg, given: &ArgMatches) -> bool {
    given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// A variable as arguments.
fn options(arg: &Arg, value: &OsStr) -> Result<Vec<OsString>, String> {
    let option = format!("--{}", arg.get_long().unwrap_or_default());
    let with = |value: &OsStr| [option.as_ref(), OsStr::new("="), value].into_iter().collect::<OsString>();
    Ok(match arg.get_action() {
        ArgAction::SetTrue if is_on(value)? => vec![option.into()],
        ArgAction::SetTrue => Vec::new(),
        // A value may contain every other separator.
        ArgAction::Append => {
            let lines = value.split("\n").map(|line| line.to_str().map_or(line, |text| OsStr::new(text.trim())));
            lines.filter(|line| !line.is_empty()).map(with).collect()
        }
        _ => vec![with(value)],
    })
}

fn is_on(value: &OsStr) -> Result<bool, String> {
    match value.to_ascii_lowercase().to_str() {
        Some("1" | "true" | "yes" | "on") => Ok(true),
        Some("0" | "false" | "no" | "off") => Ok(false),
        _ => Err(format!("expected 1 or 0, true or false, yes or no, on or off, instead of {value:?}")),
    }
}

/// The arguments, if they are valid.
fn check(arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let all = ["webserver".into()].into_iter().chain(arguments.iter().cloned());
    Cli::command().try_get_matches_from(all).map(|_| arguments).map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        text.split("\n\n").next().unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{BindAddress, LogFormat};
    use std::path::Path;

    fn parse_text(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(Cli, Vec<String>), String> {
        let arguments: Vec<OsString> = ["webserver"].iter().chain(arguments).map(OsString::from).collect();
        let variables = variables.iter().map(|(name, value)| (format!("WEBSERVER_{name}").into(), value.into()));
        parse(&arguments, variables).map_err(|error| error.to_string())
    }

    fn cli(arguments: &[&str], variables: &[(&str, &str)]) -> Cli {
        let (cli, notes) = parse_text(arguments, variables).unwrap();
        assert_eq!(notes, [""; 0]);
        cli
    }

    // A law: what an option says on the command line, its variable says too.
    #[test]
    fn every_option_of_the_server_has_a_variable() {
        let command = Cli::command();
        let options = command.get_arguments().filter(|arg| variable(arg).is_some());
        let mut tried = 0;
        for arg in options {
            let (name, Some(long)) = (variable(arg).unwrap(), arg.get_long()) else { continue };
            // A value that one option or the other accepts.
            let values: &[&str] = match arg.get_action() {
                ArgAction::SetTrue => &["1"],
                _ => &["1", "::1", "[::1]:1", "a", "a=b/c", "404=a", "A: b", "json", "off", "plain"],
            };
            let valid = values.iter().find_map(|value| {
                let argument = match arg.get_action() {
                    ArgAction::SetTrue => format!("--{long}"),
                    _ => format!("--{long}={value}"),
                };
                Some((value, Cli::try_parse_from(["webserver", &argument]).ok()?))
            });
            let (value, expected) = valid.unwrap_or_else(|| panic!("--{long} accepts none of {values:?}"));
            let from_variable = cli(&[], &[(name.strip_prefix(PREFIX).unwrap(), value)]);
            assert_eq!(format!("{from_variable:?}"), format!("{expected:?}"), "{name}={value}");
            tried += 1;
        }
        assert!(tried >= 30, "only {tried} options");
        assert_eq!(cli(&[], &[("ROOT", "/srv")]).root, Path::new("/srv"));
    }

    #[test]
    fn command_line_wins() {
        let variables = [("PORT", "1"), ("INDEX", "a\nb"), ("ROOT", "/srv"), ("HIDDEN", "1"), ("LOG_FORMAT", "json")];
        let ours = cli(&["--port", "2", "--index", "c", "--log-format=off", "there"], &variables);
        assert_eq!((ours.port(), &ours.index[..], &*ours.root), (2, &["c".into()][..], Path::new("there")));
        assert!(ours.hidden && ours.log_format == LogFormat::Off);
        // Even over a variable that is invalid.
        assert_eq!(cli(&["-p", "2"], &[("PORT", "x")]).port(), 2);
        assert_eq!(cli(&["-p", "2"], &[("PORT", "tcp://10.0.0.1:80")]).port(), 2);
    }

    #[test]
    fn option_without_value_is_on_or_off() {
        for (value, expected) in [
            ("1", true),
            ("TRUE", true),
            ("yes", true),
            ("on", true),
            ("0", false),
            ("false", false),
            ("No", false),
            ("off", false),
            ("", false),
        ] {
            assert_eq!(cli(&[], &[("HIDDEN", value)]).hidden, expected, "{value}");
        }
        assert!(cli(&["--hidden"], &[("HIDDEN", "0")]).hidden);
        let error = parse_text(&[], &[("HIDDEN", "2")]).unwrap_err();
        assert!(error.contains("WEBSERVER_HIDDEN: expected 1 or 0"), "{error}");
    }

    #[test]
    fn values_of_a_repeatable_option_are_one_per_line() {
        let cli = cli(&[], &[("HEADER", "A: b, c; d\n\n  E: f\n"), ("BIND", "::1\nlocalhost"), ("INDEX", "\n")]);
        assert_eq!(cli.header, [("A".into(), "b, c; d".into()), ("E".into(), "f".into())]);
        assert_eq!(cli.bind, [BindAddress::Ip([0, 0, 0, 0, 0, 0, 0, 1].into()), BindAddress::Localhost]);
        assert!(cli.index.is_empty());
        // On the command line, a line end would smuggle in a second header.
        assert!(parse_text(&["--header", "A: b\nC: d"], &[]).is_err());
    }

    #[test]
    fn invalid_value_is_refused_with_the_name_of_the_variable() {
        for (name, value, cause) in [
            ("PORT", "x", "'--port <PORT>': expected a number from 0 to 65535"),
            ("PORT", "http://10.0.0.1:80", "expected a number"),
            ("LOG_FORMAT", "xml", "possible values: common"),
            ("BIND", "::1\neth0", "invalid value 'eth0'"),
            ("HEADER", "X", "expected NAME: VALUE"),
        ] {
            let error = parse_text(&[], &[(name, value)]).unwrap_err();
            let starts = error.starts_with(&format!("error: WEBSERVER_{name}: "));
            assert!(starts && error.contains(cause) && error.contains("--help"), "{name}: {error}");
        }
    }

    #[test]
    fn variables_of_kubernetes_are_left_alone_and_unknown_ones_are_mentioned() {
        let (cli, notes) = parse_text(
            &[],
            &[
                ("PORT", "tcp://10.0.0.1:80"),
                ("PORT_80_TCP_ADDR", "10.0.0.1"),
                ("SERVICE_HOST", "10.0.0.1"),
                ("ATUH", "users"),
                ("EXPLAIN", "/"),
                ("HASH_PASSWORD", "alice"),
                ("MAX_CONNECTIONS", ""),
            ],
        )
        .unwrap();
        assert_eq!(cli.port(), 6789);
        let parts = [
            "WEBSERVER_PORT=\"tcp://10.0.0.1:80\" is ignored",
            "WEBSERVER_ATUH is",
            "WEBSERVER_EXPLAIN is",
            "WEBSERVER_HASH_PASSWORD is",
        ];
        assert_eq!(notes.len(), parts.len(), "{notes:?}");
        assert!(notes.iter().zip(parts).all(|(note, part)| note.starts_with(part)), "{notes:?}");
    }
}
