//! `org.freedesktop.systemd1.Socket`.
use super::prelude::*;
use super::{commands, context};
use runstead_core::units::UnitKind;
use runstead_core::units::socket::Socket;

/// Its own properties.
pub const ROWS: &[UnitProperty] = &[
    p("BindIPv6Only", "s", Const, set(ids::BIND_IPV6_ONLY)),
    p(
        "Backlog",
        "u",
        Const,
        state(|c, w| {
            w.u32(backlog(c));
        }),
    ),
    p("TimeoutUSec", "t", Const, set(ids::TIMEOUT_SEC)),
    p("BindToDevice", "s", Const, set(ids::BIND_TO_DEVICE)),
    p("SocketUser", "s", Const, set(ids::SOCKET_USER)),
    p("SocketGroup", "s", Const, set(ids::SOCKET_GROUP)),
    p("SocketMode", "u", Const, set(ids::SOCKET_MODE)),
    p("DirectoryMode", "u", Const, set(ids::DIRECTORY_MODE)),
    p("Accept", "b", Const, set(ids::ACCEPT)),
    p("FlushPending", "b", Const, set(ids::FLUSH_PENDING)),
    p("Writable", "b", Const, set(ids::WRITABLE)),
    p("KeepAlive", "b", Const, set(ids::KEEP_ALIVE)),
    p("KeepAliveTimeUSec", "t", Const, set(ids::KEEP_ALIVE_TIME_SEC)),
    p("KeepAliveIntervalUSec", "t", Const, set(ids::KEEP_ALIVE_INTERVAL_SEC)),
    p("KeepAliveProbes", "u", Const, set(ids::KEEP_ALIVE_PROBES)),
    p("DeferAcceptUSec", "t", Const, set(ids::DEFER_ACCEPT_SEC)),
    p("NoDelay", "b", Const, set(ids::NO_DELAY)),
    p("Priority", "i", Const, set(ids::SOCKET_PRIORITY)),
    p("ReceiveBuffer", "t", Const, set(ids::RECEIVE_BUFFER)),
    p("SendBuffer", "t", Const, set(ids::SEND_BUFFER)),
    p("IPTOS", "i", Const, set(ids::IPTOS)),
    p("IPTTL", "i", Const, set(ids::IPTTL)),
    p("PipeSize", "t", Const, set(ids::PIPE_SIZE)),
    p("FreeBind", "b", Const, set(ids::FREE_BIND)),
    p("Transparent", "b", Const, set(ids::TRANSPARENT)),
    p("Broadcast", "b", Const, set(ids::BROADCAST)),
    p("PassCredentials", "b", Const, set(ids::PASS_CREDENTIALS)),
    p("PassFileDescriptorsToExec", "b", Const, set(ids::PASS_FILE_DESCRIPTORS_TO_EXEC)),
    p("PassSecurity", "b", Const, set(ids::PASS_SECURITY)),
    p("PassPacketInfo", "b", Const, set(ids::PASS_PACKET_INFO)),
    p("Timestamping", "s", Const, set(ids::TIMESTAMPING)),
    p("RemoveOnStop", "b", Const, set(ids::REMOVE_ON_STOP)),
    p("Listen", "a(ss)", Const, state(listen)),
    p("Symlinks", "as", Const, set(ids::SYMLINKS)),
    p("Mark", "i", Const, set(ids::MARK)),
    p("MaxConnections", "u", Const, set(ids::MAX_CONNECTIONS)),
    p("MaxConnectionsPerSource", "u", Const, set(ids::MAX_CONNECTIONS_PER_SOURCE)),
    p("MessageQueueMaxMessages", "x", Const, set(ids::MESSAGE_QUEUE_MAX_MESSAGES)),
    p("MessageQueueMessageSize", "x", Const, set(ids::MESSAGE_QUEUE_MESSAGE_SIZE)),
    p("TCPCongestion", "s", Const, set(ids::TCP_CONGESTION)),
    p("ReusePort", "b", Const, set(ids::REUSE_PORT)),
    p("SmackLabel", "s", Const, set(ids::SMACK_LABEL)),
    p("SmackLabelIPIn", "s", Const, set(ids::SMACK_LABEL_IP_IN)),
    p("SmackLabelIPOut", "s", Const, set(ids::SMACK_LABEL_IP_OUT)),
    p("ControlPID", "u", Changes, state(context::control_pid)),
    p("Result", "s", Changes, state(context::result)),
    p(
        "NConnections",
        "u",
        No,
        state(|c, w| {
            w.u32(socket(c).map_or(0, |s| s.n_connections));
        }),
    ),
    p(
        "NAccepted",
        "u",
        No,
        state(|c, w| {
            w.u32(socket(c).map_or(0, |s| s.n_accepted));
        }),
    ),
    p(
        "NRefused",
        "u",
        No,
        state(|c, w| {
            w.u32(socket(c).map_or(0, |s| s.n_refused));
        }),
    ),
    p(
        "FileDescriptorName",
        "s",
        No,
        state(|c, w| {
            w.str(c.unit.settings.text(ids::FILE_DESCRIPTOR_NAME).unwrap_or(c.unit.name.as_str()));
        }),
    ),
    p("SocketProtocol", "i", Const, set(ids::SOCKET_PROTOCOL)),
    p("TriggerLimitIntervalUSec", "t", Const, set(ids::TRIGGER_LIMIT_INTERVAL_SEC)),
    p("TriggerLimitBurst", "u", Const, set(ids::TRIGGER_LIMIT_BURST)),
    p("PollLimitIntervalUSec", "t", Const, set(ids::POLL_LIMIT_INTERVAL_SEC)),
    p("PollLimitBurst", "u", Const, set(ids::POLL_LIMIT_BURST)),
    p("UID", "u", Changes, state(context::uid)),
    p("GID", "u", Changes, state(context::gid)),
    p(
        "ExecStartPre",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_START_PRE, w)),
    ),
    p(
        "ExecStartPost",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_START_POST, w)),
    ),
    p("ExecStopPre", "a(sasbttttuii)", Invalidates, state(|c, w| commands::plain(c, ids::EXEC_STOP_PRE, w))),
    p(
        "ExecStopPost",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_STOP_POST, w)),
    ),
];

fn socket<'a>(context: &Context<'a>) -> Option<&'a Socket> {
    match &context.unit.kind {
        UnitKind::Socket(socket) => Some(socket),
        _ => None,
    }
}

/// The kernel takes a signed number.
fn backlog(context: &Context<'_>) -> u32 {
    let set = context.unit.settings.uint(ids::BACKLOG);
    u32::try_from(set.min(i32::MAX as u64)).unwrap_or(u32::MAX)
}

fn listen(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(ss)", |w| {
        for port in context.unit.settings.ports() {
            w.open_struct().str(&port.kind).str(&port.address).close();
        }
    });
}
