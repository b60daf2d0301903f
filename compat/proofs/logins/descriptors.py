"""Calls of the login manager with descriptors that it did not ask for: none may stay with it.

Prints how many descriptors it has more after the calls than before, and how many calls were answered."""
import array, os, socket, struct, subprocess, time

CALLS, FDS = 100, 8
manager = subprocess.check_output(["systemctl", "show", "-P", "MainPID", "systemd-logind"], text=True).strip()


def held():
    return len(os.listdir(f"/proc/{manager}/fd"))


def pad(data, to):
    return data + b"\0" * (-len(data) % to)


def field(code, kind, value):
    if kind in "so":
        value = struct.pack("<I", len(value)) + value.encode() + b"\0"
    else:
        value = struct.pack("<I", value)
    return struct.pack("<BB", code, 1) + kind.encode() + b"\0" + value


def call(serial, destination, path, interface, member, fds=0):
    fields = [field(1, "o", path), field(2, "s", interface), field(3, "s", member), field(6, "s", destination)]
    fields += [field(9, "u", fds)] if fds else []
    header = b""
    for one in fields:
        header = pad(header, 8) + one
    return pad(struct.pack("<BBBBIII", ord("l"), 1, 0, 1, 0, serial, len(header)) + header, 8)


before = held()
# As somebody ordinary.
if os.fork() == 0:
    os.setgid(1000)
    os.setuid(1000)
    bus = socket.socket(socket.AF_UNIX)
    bus.connect("/run/dbus/system_bus_socket")
    bus.sendall(b"\0AUTH EXTERNAL " + b"1000".hex().encode() + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    while b"AGREE_UNIX_FD" not in bus.recv(4096):
        pass
    bus.sendall(call(1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"))
    null = os.open("/dev/null", os.O_RDONLY)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * FDS))]
    for serial in range(2, 2 + CALLS):
        message = call(
            serial, "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "CanPowerOff", FDS
        )
        bus.sendmsg([message], rights)
    bus.settimeout(5)
    answers = b""
    try:
        # Each answer names the call that it is for.
        while not all(b"\x05\x01u\0" + struct.pack("<I", serial) in answers for serial in range(2, 2 + CALLS)):
            answers += bus.recv(65536)
    except TimeoutError:
        pass
    answered = sum(b"\x05\x01u\0" + struct.pack("<I", serial) in answers for serial in range(2, 2 + CALLS))
    print(answered, flush=True)
    os._exit(0)
os.wait()
time.sleep(0.2)
print(held() - before)
