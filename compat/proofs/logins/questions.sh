# Asks the login manager everything that has an answer without people and devices; what differs from run to run is masked.
exec 2>&1
export LC_ALL=C.UTF-8 UID2=65534
B=org.freedesktop.login1; P=/org/freedesktop/login1; M="$B $P org.freedesktop.login1.Manager"
rm -f /tmp/sid
# What su and the shell say of the end is a matter of moments.
su ann -c 'echo $XDG_SESSION_ID >/tmp/sid; sleep 30' >/dev/null 2>&1 &

for i in $(seq 50); do [ -s /tmp/sid ] && break; sleep 0.1; done
S=$(cat /tmp/sid); n() { sed -e "s/\b$S\b/SID/g" -e "s/\bc[0-9][0-9]*\b/C/g" -e 's/[0-9]\{8,\}/N/g' -e 's/"Leader":{"type":"u","data":[0-9]*}/L/;s/ u [0-9]* "background"/ u PID "background"/'; }
for o in $P $P/session/$S $P/user/_$(id -u ann) $P/seat/seat0; do echo "== $o" | n; busctl introspect --no-pager --no-legend $B $o 2>&1 | awk '{print $1,$2,$3,$NF}' | n; done
for o in "$P Manager" "$P/session/$S Session" "$P/user/_$(id -u ann) User" "$P/seat/seat0 Seat"; do set -- $o; echo "== all of $2"; busctl call -j $B $1 org.freedesktop.DBus.Properties GetAll s org.freedesktop.login1.$2 | sed 's/},"/}\n"/g' | n; done
c() { echo "-- $*" | n; busctl call $M "$@" | n; }
c GetSession s nope; c GetSession s ""; c GetSession s self; c GetSession s auto; c GetSession s $S; c GetUser u 4711; c GetUser u $(id -u ann); c GetSeat s seatx; c GetSeat s seat0; c GetSeat s ""; c GetSessionByPID u 1; c GetSessionByPID u 0; c GetSessionByPID u 999999; c GetUserByPID u 1
c ListUsers; c ListSeats; c ListInhibitors
c KillSession ssi nope all 15; c KillSession ssi $S bogus 15; c KillSession ssi $S all 999; c KillSession ssi $S leader 0; c KillUser ui 4711 15
c ActivateSession s nope; c ActivateSession s $S; c ActivateSessionOnSeat ss $S seat0; c ActivateSessionOnSeat ss $S seatx; c LockSession s nope; c LockSession s $S; c UnlockSession s $S; c LockSessions; c TerminateSession s nope; c TerminateUser u 4711; c TerminateSeat s nope
c SetUserLinger ubb 4711 true false; c SetUserLinger ubb $UID2 true false; ls /var/lib/systemd/linger; c SetUserLinger ubb $UID2 false false; ls /var/lib/systemd/linger
c ReleaseSession s nope; c ReleaseSession s $S
c CreateSession uusssssussbssa\(sv\) $UID2 0 x tty user "" "" 0 "" "" false "" "" 0
c CreateSession uusssssussbssa\(sv\) $UID2 0 x bogus user "" "" 0 "" "" false "" "" 0
c CreateSession uusssssussbssa\(sv\) $UID2 0 x tty bogus "" "" 0 "" "" false "" "" 0
c CreateSession uusssssussbssa\(sv\) $UID2 0 x tty user "" seatx 0 "" "" false "" "" 0
c CreateSession uusssssussbssa\(sv\) $UID2 0 x tty user "" "" 77 "" "" false "" "" 0
c CreateSession uusssssussbssa\(sv\) 4711 0 x tty user "" "" 0 "" "" false "" "" 0
c Bogus; c GetUser s x
echo "-- bogus iface"; busctl call $B $P org.freedesktop.login1.Bogus X; busctl call $B $P/session/nope org.freedesktop.login1.Session Lock; busctl call $B $P/user/_4711 org.freedesktop.login1.User Terminate; busctl call $B $P/seat/nope org.freedesktop.login1.Seat Terminate; busctl call $B /bogus org.freedesktop.login1.Seat Terminate; busctl get-property $B $P org.freedesktop.login1.Manager Bogus;  busctl get-property $B $P org.freedesktop.login1.Bogus IdleHint; busctl set-property $B $P org.freedesktop.login1.Manager IdleHint b true
s() { echo "-- session $*"|n; busctl call $B $P/session/$S org.freedesktop.login1.Session "$@"|n; }
s SetIdleHint b true; s SetLockedHint b true; s SetType s x11; s SetType s bogus; s SetClass s user; s SetClass s bogus; s SetDisplay s :0; s TakeControl b false; s TakeDevice uu 13 64; s ReleaseControl; s Activate; s Lock; s Kill si all 0; s SetBrightness ssu backlight x 1; s PauseDeviceComplete uu 1 1; s ReleaseDevice uu 1 1
t() { echo "-- seat $*"; busctl call $B $P/seat/seat0 org.freedesktop.login1.Seat "$@"; }
t SwitchTo u 1; t SwitchToNext; t SwitchToPrevious; t ActivateSession s $S; t SwitchTo u 0
# An ordinary user, who is asked for nothing.
b() { echo "-- bob $*" | n; su -s /bin/sh nobody -c "busctl call $M $*" 2>&1 | n; }
b GetSession s $S; b LockSessions; b KillSession ssi $S all 15; b KillUser ui $(id -u ann) 15; b TerminateSession s $S; b TerminateUser u $(id -u ann);  b SetUserLinger ubb $(id -u ann) true false; b SetUserLinger ubb 4294967295 true false; b ReleaseSession s $S; b ActivateSession s $S; b "CreateSession 'uusssssussbssa(sv)' $UID2 0 x tty user '' '' 0 '' '' false '' '' 0"; b TerminateSeat s seat0; b FlushDevices; b AttachDevice ssb seat0 /sys/devices/virtual/net/lo false
echo "-- set"; busctl set-property $B $P org.freedesktop.login1.Manager WallMessage s hello;  busctl get-property $B $P org.freedesktop.login1.Manager WallMessage; su -s /bin/sh nobody -c "busctl set-property $B $P org.freedesktop.login1.Manager WallMessage s hello"
loginctl show-seat seat0 | n; loginctl seat-status seat0 | n; loginctl list-users --no-legend | grep ann | xargs; loginctl show-user ann | grep -v ^Timestamp | n | sed 's/c[0-9][0-9]*/C/g'
loginctl terminate-session $S; for i in $(seq 50); do [ -e /run/systemd/sessions/$S ] || break; sleep 0.1; done
ls /run/systemd/sessions | grep -cx $S || true
