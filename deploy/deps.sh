#!/usr/bin/env bash
# Installs what is missing on this machine, and nothing else:
#   deploy/deps.sh lab   PostgreSQL, Prometheus and Alertmanager, for the lab
#   deploy/deps.sh tests the same, and the servers that tests of actions run
#   deploy/deps.sh cc    a C compiler, for the race detector
# It neither starts the services of new packages, now or at boot, nor touches
# those that run already.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
	echo "deps: $*" >&2
	exit 1
}

main() {
	local missing
	case "${1:-}" in
	lab | tests) missing="$(missing_for "$1")" ;;
	cc) missing="$(missing_for_cc)" ;;
	*) fail 'usage: deploy/deps.sh lab|tests|cc' ;;
	esac
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086 # a list of packages
	install $missing
}

manager() {
	if command -v apt-get >/dev/null; then
		echo apt
	elif command -v brew >/dev/null; then
		echo brew
	fi
}

# The lab finds its programs in one place, in Go; that place is asked here too.
missing_for() {
	local names
	names="$(manager)"
	go run ./internal/lab/programs/missing "${names:-apt}" "$1" | sort -u | tr '\n' ' '
}

missing_for_cc() {
	# With the headers of the C library, which are a package of their own.
	echo '#include <stdlib.h>' | "$(go env CC)" -E - >/dev/null 2>&1 || echo 'gcc libc6-dev'
}

install() {
	echo "deps: installing $*"
	case "$(manager)" in
	apt) install_apt "$@" ;;
	brew) install_brew "$@" ;;
	*) fail "can install with apt-get or brew only; please install by hand what Debian calls: $*" ;;
	esac
}

install_brew() {
	case "$*" in
	*gcc*) fail 'no C compiler; install one with: xcode-select --install' ;;
	esac
	brew install "$@"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		fail "needs root to install $*"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

policy=/usr/sbin/policy-rc.d

install_apt() {
	as_root apt-get update -qq || echo 'deps: apt-get update failed; going on with what is known' >&2
	if [ ! -e "$policy" ]; then
		trap 'as_root rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 0755 "$policy"
	fi
	# RUNLEVEL=1 keeps services down where somebody else's policy lets them up.
	as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null
	keep_down "$@"
}

# The packages are new, so that nobody can depend on their services yet. A
# package need not call its services what it is called itself: openssh-server
# brings ssh.service.
keep_down() {
	[ -d /run/systemd/system ] || return 0
	local unit
	for unit in $(dpkg -L "$@" | sed -n 's,.*/systemd/system/\([^/@]*\.\(service\|socket\)\)$,\1,p' | sort -u); do
		if systemctl cat "$unit" >/dev/null 2>&1; then
			as_root systemctl disable --quiet --now "$unit"
		fi
	done
}

main "$@"
