# A server in the foreground of a page: starts it, and returns once it accepts connections. A server that ran at the same
# port gets SIGTERM first, as if its reader had pressed Ctrl-C. server.sh PROGRAM ARGUMENTS... or: server.sh stop FILE.pid
stop() {
    local of=${1%.pid}
    kill -TERM "$(<"$of.pid")" 2>/dev/null
    until [[ -s $of.status ]]; do sleep 0.01; done
    rm "$of.pid"
    [[ $of != */webserver-* || $(<"$of.status") == 0 ]] ||
        { echo "a server ended with $(<"$of.status"):"; cat "$of.out"; return 1; }
}
if [[ $1 == stop ]]; then stop "$2"; exit; fi

program=$1 name=${1##*/} port=${WEBSERVER_PORT:-6789}
shift
if [[ $name == python3 ]]; then
    [[ $1 == -m && $2 == http.server ]] || exec "$program" "$@"
    port=8000
fi
last=
for argument; do
    case $argument in
    --explain | --help | -h | --man | --completions | --hash-password | --print-limits | --version | -V)
        exec "$program" "$@" ;;
    --port=* | --unix=*) port=${argument#*=} ;;
    esac
    case $last in --port | -p | --unix) port=$argument ;; esac
    [[ $name == webserver || $last =~ ^[0-9]+$ || ! $argument =~ ^[0-9]+$ ]] || port=$argument
    last=$argument
done

for other in /tmp/servers/*-"${port//\//-}".pid; do
    [[ ! -f $other ]] || stop "$other" || exit
done
server=/tmp/servers/$name-${port//\//-}
rm -f "$server".{status,out,pid}
(
    # Its terminal stays open, and nothing is typed. Its pid is known before it prints anything.
    bash -c 'echo $$ >"$0"; exec "$@"' "$server.pid" "$program" "$@" < <(exec sleep 1000) >"$server.out" 2>&1 &
    wait $!
    echo $? >"$server.status"
) &
until grep -qsE '^listening on |"listening on |^Serving HTTP on ' "$server.out" || [[ -s $server.status ]]; do sleep 0.01; done
grep -v ": warning: running as root" "$server.out" # a reader has another user
if [[ -s $server.status ]]; then
    rm "$server.pid"
    exit "$(<"$server.status")"
fi
