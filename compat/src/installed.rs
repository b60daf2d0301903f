//! What an installation changes of a tree, and has to give back.

/// A shell's line: what dpkg says of all packages and of diversions, the init and the programs, and the places that are ours.
pub const LOOK: &str = "dpkg -V; dpkg-divert --list | sort; ls -l --time-style=full-iso /usr/sbin/init* /usr/bin/systemd-tmpfiles* /usr/lib/systemd/systemd-user-runtime-dir* | cut -d' ' -f1-4,6-; ls -d /usr/lib/runstead /var/lib/runstead /usr/bin/runstead 2>&1";
