#!/bin/sh
# The main job in one picture, with namespaces in place of machines:
#
#   machine "outside"                machine "host"            sandbox
#   curl, nginx on the kernel  veth  routes packets      TAP   nginx, curl,
#   192.0.2.2  ──────────────────── 192.0.2.1  10.87.0.1 ───── 10.87.0.2
#
# The programs in the sandbox are Debian's. Their TCP is spoken by the tcpcni
# engine; the kernels of the host and of the sandbox never hold one of their
# sockets, and at the end the demo proves it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tcpcni=$here/../../bin/tcpcni
[ "$(id -u)" = 0 ] || { echo "the demo makes network namespaces and needs root" >&2; exit 1; }

dir=$(mktemp -d)
host=tcpcni-demo-host-$$
outside=tcpcni-demo-outside-$$
TCPCNI_STATE=$dir/state
export TCPCNI_STATE
pids=

clean_up() {
	status=$?
	trap - EXIT INT TERM
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	ip netns del "$host" 2>/dev/null || true
	ip netns del "$outside" 2>/dev/null || true
	if [ "$status" != 0 ]; then
		echo "the demo failed; its logs:" >&2
		for log in "$dir"/*.log; do echo "-- $log" >&2; tail -n 20 "$log" >&2; done
	fi
	rm -rf "$dir"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
in_host() { ip netns exec "$host" "$@"; }
in_outside() { ip netns exec "$outside" "$@"; }
in_sandbox() { ip netns exec "$host" "$tcpcni" exec web -- "$@"; }
# What runs in the background is started without these functions: of a function,
# $! is the shell that waits for the command, and killing it leaves the command.

# until_ok COMMAND...: repeats a command until it succeeds; gives up after a
# minute, which only a fault makes it last.
until_ok() {
	tries=0
	until "$@" >"$dir/try.log" 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || { echo "never succeeded: $*" >&2; return 1; }
		sleep 0.1
	done
}

# An nginx that serves one folder on port 80, under its own prefix.
nginx_conf() {
	mkdir -p "$dir/$1/www" "$dir/$1/tmp"
	cat >"$dir/$1/nginx.conf" <<-CONF
		user root;
		worker_processes 2;
		pid $dir/$1/pid;
		error_log stderr warn;
		events { worker_connections 256; }
		http {
			access_log off;
			sendfile on;
			client_body_temp_path $dir/$1/tmp/a; proxy_temp_path $dir/$1/tmp/b;
			fastcgi_temp_path $dir/$1/tmp/c; uwsgi_temp_path $dir/$1/tmp/d; scgi_temp_path $dir/$1/tmp/e;
			server {
				listen 80; listen [::]:80;
				root $dir/$1/www;
				location = /whoami { return 200 "nginx $1 sees you as \$remote_addr\n"; }
			}
		}
	CONF
	head -c 67108864 /dev/urandom >"$dir/$1/www/file"
}

say "Two namespaces stand for two machines, linked by a veth pair"
ip netns add "$host"
ip netns add "$outside"
ip -n "$host" link add out type veth peer name in netns "$outside"
ip -n "$host" link set lo up
ip -n "$outside" link set lo up
ip -n "$host" addr add 192.0.2.1/24 dev out
ip -n "$outside" addr add 192.0.2.2/24 dev in
ip -n "$host" link set out up
ip -n "$outside" link set in up
ip -n "$outside" route add 10.87.0.0/24 via 192.0.2.1
echo "host 192.0.2.1, outside 192.0.2.2"

say "nginx in a sandbox of the network in test/demo/demo.conflist"
nginx_conf inside
ip netns exec "$host" "$tcpcni" run --name web --conf "$here/demo.conflist" -- \
	nginx -p "$dir/inside" -c "$dir/inside/nginx.conf" -g 'daemon off;' >"$dir/sandbox.log" 2>&1 &
pids="$pids $!"
nginx_conf outside
ip netns exec "$outside" nginx -p "$dir/outside" -c "$dir/outside/nginx.conf" -g 'daemon off;' >"$dir/outside.log" 2>&1 &
pids="$pids $!"
until_ok in_outside curl -sSf --noproxy '*' http://10.87.0.2/whoami
until_ok in_outside curl -sSf --noproxy '*' http://192.0.2.2/whoami
in_host "$tcpcni" list

# fetch WHERE URL FILE: downloads, compares, and says how fast it went.
fetch() {
	$1 curl -sSf --noproxy '*' -o "$dir/got" -w '%{size_download} bytes in %{time_total} s' "$2" >"$dir/result"
	cmp "$dir/got" "$3"
	echo "$2: $(cat "$dir/result"), byte for byte"
	rm "$dir/got"
}

say "curl outside, nginx in the sandbox"
in_outside curl -sSf --noproxy '*' http://10.87.0.2/whoami
fetch in_outside http://10.87.0.2/file "$dir/inside/www/file"

say "curl in the sandbox, nginx outside"
in_sandbox curl -sSf --noproxy '*' http://192.0.2.2/whoami
fetch in_sandbox http://192.0.2.2/file "$dir/outside/www/file"

say "The sandbox's sockets while two downloads run: tcpcni ss web"
ip netns exec "$outside" curl -sS --noproxy '*' --limit-rate 2M -o /dev/null http://10.87.0.2/file >"$dir/slow1.log" 2>&1 &
pids="$pids $!"
ip netns exec "$host" "$tcpcni" exec web -- curl -sS --noproxy '*' --limit-rate 2M -o /dev/null http://192.0.2.2/file >"$dir/slow2.log" 2>&1 &
pids="$pids $!"
two_established() { [ "$(in_host "$tcpcni" ss web | grep -c ESTAB)" -ge 2 ]; }
until_ok two_established
in_host "$tcpcni" ss web

say "What the kernels hold meanwhile"
# sockets WHERE: TCP sockets that the kernel has in that namespace.
sockets() { "$@" sh -c 'cat /proc/net/tcp /proc/net/tcp6' | grep -cv local_address || true; }
# opened WHERE: connections that the kernel of that namespace ever opened or
# accepted. The counters forget nothing.
opened() { "$@" cat /proc/net/snmp | awk '$1 == "Tcp:" && $6 ~ /^[0-9]+$/ { print $6 + $7 }'; }
echo "outside (plain kernel):   $(sockets in_outside) TCP sockets, $(opened in_outside) connections ever"
echo "host (where the engine is): $(sockets in_host) TCP sockets, $(opened in_host) connections ever"
echo "sandbox:                  $(sockets in_sandbox) TCP sockets, $(opened in_sandbox) connections ever"
if [ "$(sockets in_host)$(opened in_host)$(sockets in_sandbox)$(opened in_sandbox)" != 0000 ]; then
	echo "a kernel that should have held no TCP socket did hold one" >&2
	exit 1
fi

say "In short"
cat <<-END
	Debian's nginx and curl ran in a sandbox and moved 64 MiB each way, unchanged.
	Every TCP segment of theirs was made and read by the tcpcni engine.
	The host's kernel and the sandbox's kernel held no TCP socket, then or now.
	OK
END
