#!/bin/sh
# Installs the Debian packages that the demo and the tests need, and those that
# the command line names, and only those that are missing. Nothing happens, and
# no network is used, when all are there. No daemon is started: a policy-rc.d
# that forbids it stands for as long as apt runs, unless the machine has one of
# its own.
set -eu

packages="
gcc libc6-dev libc-bin ca-certificates
iproute2 nftables iptables util-linux procps iputils-ping iputils-tracepath traceroute tcpdump
curl iperf3 nginx-light redis-server redis-tools dnsmasq-base
openssh-client openssh-server python3 bird2
runc libseccomp-dev
$*
"

missing=
for p in $packages; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "these Debian packages are missing and only root can install them:$missing" >&2
	exit 1
fi

echo "installing:$missing"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# The package lists of an image are often gone or stale: fetch them first.
# shellcheck disable=SC2086 # $missing is a list of words
if ! { apt-get update -o DPkg::Lock::Timeout=300 &&
	apt-get install -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	exit 1
fi
rm -f "$log"
