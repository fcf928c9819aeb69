# Runs the commands N.sh of a page, in order, in one shell. `unshare` starts it: session.sh WORKSPACE PROGRAMS PAGE
# PAGE is a directory: of each command it has the input and gets the output and the exit status.
if [[ $4 != inside ]]; then
    set -e
    workspace=$1 programs=$2 page=$3 root=/mnt/root
    ip link set lo up
    # What is written stays in memory.
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/{upper,work,root,page}
    mount --bind "$page" /mnt/page
    mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root
    mount --rbind /dev $root/dev
    mount -t proc proc $root/proc
    for directory in "$workspace" "$programs"; do # on another disk, if not there
        if [[ -z $(ls -A "$root$directory") ]]; then mount --rbind "$directory" "$root$directory"; fi
    done
    for directory in tmp srv run; do mount -t tmpfs tmpfs $root/$directory; done
    if [[ $workspace/ == /tmp/* ]]; then mkdir -p "$root$workspace" && mount --rbind "$workspace" "$root$workspace"; fi
    mkdir $root/tmp/{page,reader,bin}
    mount --bind "$page" $root/tmp/page
    exec chroot $root bash /tmp/page/session.sh "$workspace" "$programs" /tmp/page inside
fi

for program in webserver python3 embed metrics; do # servers
    printf '#!/bin/sh\nexec bash /tmp/page/server.sh "%s" "$@"\n' "$(PATH=$2:$PATH command -v $program)" >/tmp/bin/$program
done
printf '#!/bin/sh\nexec "$@"\n' >/tmp/bin/sudo # it is root here
# What was compiled for the tests, in place of compiling it again.
cat >/tmp/bin/cargo <<'END'
#!/bin/sh
case "$*" in
"run "*"--bin "*) ;;
*) echo "here, cargo runs only programs: cargo $*" >&2; exit 1 ;;
esac
while [ "$1" != --bin ]; do shift; done
name=$2; shift 2
[ "$1" != -- ] || shift
exec "$name" "$@"
END
chmod +x /tmp/bin/*
export PATH=/tmp/bin:$2:$PATH HOME=/tmp/reader LC_ALL=C.UTF-8 no_proxy='*' PYTHONUNBUFFERED=1 TZ=UTC
unset CDPATH "${!WEBSERVER_@}"
mkdir /tmp/servers
cd /tmp/reader || exit
echo fail-with-body >.curlrc # no page shows a status of 400 or more as if it were what it promises
# As on most machines. Some leave out IPv6.
rm -f /etc/resolv.conf # nobody answers here
printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts
ln -s "$1"/{examples,crates,docs,deploy,scripts} .

for ((number_of_command = 0; ; number_of_command++)); do
    command_at=/tmp/page/$number_of_command
    [[ -f $command_at.sh ]] || break
    source "$command_at.sh" >"$command_at.out" 2>&1 <"$command_at.in"
    status_of_command=$?
    echo $status_of_command >"$command_at.status"
    ((status_of_command == 0)) || [[ -f $command_at.any ]] || exit 0
done
for server in /tmp/servers/*.pid; do
    [[ ! -f $server ]] || bash /tmp/page/server.sh stop "$server" || exit
done
