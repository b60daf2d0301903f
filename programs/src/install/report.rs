//! What is told while it is done: a line a step, for people or as JSON.
use serde_json::json;

/// Where lines go to.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// One JSON object a line.
    pub json: bool,
}

impl Report {
    /// A step: `state` is "done", "kept" (nothing was to be done) or "planned".
    pub fn step(self, state: &str, what: &str) {
        if self.json {
            println!("{}", json!({ "step": what, "state": state }));
        } else {
            println!("{state:<7}  {what}");
        }
    }

    /// How it ended, with a word for programs and a sentence for people.
    pub fn end(self, event: &str, text: &str) {
        if self.json {
            println!("{}", json!({ "event": event, "version": env!("CARGO_PKG_VERSION"), "text": text }));
        } else {
            println!("{text}");
        }
    }

    /// Something to know beside it.
    pub fn note(self, text: &str) {
        if self.json {
            println!("{}", json!({ "event": "note", "text": text }));
        } else {
            println!("note: {text}");
        }
    }
}
