#!/bin/sh
# Copyright: (c) 2026, umbra contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# node.sh FOLDER NAME USER-ID PYTHON-FOLDERS COMMAND...
#
# What a container would be, of this machine's own files: a root in FOLDER with the system's programs, these folders of
# Python (separated by colons) and an empty /runner, all of it gone when the process is; a name and processes of its own;
# COMMAND as a user of no rights. To be started by unshare --mount --pid --uts, as root.
set -eu
root=$1 name=$2 user=$3 pythons=$4
shift 4

echo "$name" >/proc/sys/kernel/hostname
umask 022
mount -t tmpfs -o mode=755 node "$root"
mkdir "$root/dev" "$root/proc" "$root/runner" "$root/tmp"
chmod 1777 "$root/tmp"
for each in /bin /sbin /lib /lib32 /lib64 /usr /etc; do
    if [ -L "$each" ]; then
        ln -s "$(readlink "$each")" "$root$each"
    elif [ -d "$each" ]; then
        mkdir "$root$each"
        mount --bind "$each" "$root$each"
    fi
done
IFS=:
for each in $pythons; do
    if ! [ -d "$root$each" ]; then
        mkdir -p "$root$each"
        mount --bind "$each" "$root$each"
    fi
done
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 node "$root/dev/shm"
mount -t proc node "$root/proc"
chown "$user:$user" "$root/runner"

# Not by exec: who becomes another user is not killed with the process that started this one.
chroot --userspec="$user:$user" --groups= "$root" "$@"
