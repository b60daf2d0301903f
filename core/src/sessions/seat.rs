//! One seat: what a person sits at (sd-login(3)). `seat0` always exists, and alone has virtual terminals.

/// The seat that every machine has.
pub const SEAT0: &str = "seat0";

/// A seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its name.
    pub id: String,
    /// The session in the foreground.
    pub active: Option<String>,
    /// Whether it has virtual terminals.
    pub can_tty: bool,
    /// Whether it has a screen.
    pub can_graphical: bool,
}

impl Seat {
    /// `seat0`, with or without virtual terminals.
    pub fn seat0(can_tty: bool) -> Seat {
        Seat { id: SEAT0.to_owned(), active: None, can_tty, can_graphical: false }
    }

    /// Where clients find it.
    pub fn object_path(&self) -> String {
        object_path(&self.id)
    }
}

/// Where clients find the seat of that name.
pub fn object_path(id: &str) -> String {
    format!("/org/freedesktop/login1/seat/{}", crate::names::bus_path_escape(id))
}

/// The virtual terminal's number of a terminal without `/dev/`, such as `tty3`.
pub fn vt_of(tty: &str) -> Option<u32> {
    let number = tty.strip_prefix("tty")?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|number| plain && (1..=63).contains(number))
}

/// Whether a text can name a seat: `seat` and letters, digits, `-` and `_`.
pub fn is_valid_id(id: &str) -> bool {
    let rest = id.strip_prefix("seat").unwrap_or("");
    !rest.is_empty()
        && id.len() <= 255
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
