//! Colours, where the output is a terminal and nobody asked for none, and sizes for people.
use std::io::IsTerminal as _;

/// Adds colours or does not.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// For standard output (no-color.org).
    pub fn of_stdout() -> Paint {
        Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// Text in a colour of ECMA-48, such as 32 for green.
    pub fn colour(self, code: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub const RED: u8 = 31;
pub const GREEN: u8 = 32;
pub const YELLOW: u8 = 33;
pub const BLUE: u8 = 34;
pub const MAGENTA: u8 = 35;
pub const CYAN: u8 = 36;
pub const GREY: u8 = 90;

/// Bytes with a binary unit.
pub fn size(bytes: u64) -> String {
    let mut whole = bytes;
    let mut tenths = 0;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if whole < 1024 {
            return if tenths > 0 && whole < 10 {
                format!("{whole}.{tenths} {unit}")
            } else {
                format!("{whole} {unit}")
            };
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
    }
    format!("{whole} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        let sizes: Vec<String> =
            [0, 1023, 1024, 1536, 20 << 10, (5 << 20) + (1 << 19), 3 << 30, 2 << 40].map(size).to_vec();
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "20 KiB", "5.5 MiB", "3 GiB", "2 TiB"]);
    }
}
