use std::fmt::{self, Display, Write};

/// Faults that a [`Violation`] lists.
pub const FAULTS: usize = 10;
/// Bytes of the words about a fault, give or take a character.
const MESSAGE_BYTES: usize = 400;
/// Bytes of a pointer; of one that is longer, only its beginning is told.
const POINTER_BYTES: usize = 1_000;

/// Why an event's data does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The schema's path within the folder.
    pub file: String,
    /// The first places at fault, one at least.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: usize,
}

/// One place at which data does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place in the data, as a JSON pointer (RFC 6901). One that is very long leads to something around it.
    pub pointer: String,
    /// What is wrong there, shortened where it is long.
    pub message: String,
    /// The place in the schema that says so, as a JSON pointer; `None` where none does.
    pub schema_pointer: Option<String>,
}

impl Fault {
    /// A fault at this place in the data.
    pub fn at(pointer: &str, message: impl Display) -> Self {
        Self { pointer: bounded_pointer(pointer).to_owned(), message: shortened(message), schema_pointer: None }
    }

    /// A fault of the data as a whole.
    pub fn of_all(message: impl Display) -> Self {
        Self::at("", message)
    }

    /// Says which place in the schema it is that the data does not fit.
    #[must_use]
    pub fn by(mut self, schema_pointer: &str) -> Self {
        self.schema_pointer = Some(bounded_pointer(schema_pointer).to_owned());
        self
    }
}

/// The words, up to a bound. However long they would be, no more than that is made.
pub fn shortened(words: impl Display) -> String {
    let mut bounded = Bounded { text: String::new(), bytes: MESSAGE_BYTES };
    if write!(bounded, "{words}").is_err() {
        bounded.text.push('…');
    }
    bounded.text
}

/// The words, if they are no longer than this.
pub fn if_short(words: impl Display, bytes: usize) -> Option<String> {
    let mut bounded = Bounded { text: String::new(), bytes };
    write!(bounded, "{words}").ok().map(|()| bounded.text)
}

/// A member's name or an item's place, as a part of a JSON pointer.
pub fn push_name(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

fn bounded_pointer(pointer: &str) -> &str {
    if pointer.len() <= POINTER_BYTES {
        return pointer;
    }
    let beginning = &pointer[..pointer.floor_char_boundary(POINTER_BYTES)];
    // Whole names only, so that it leads to something.
    beginning.rfind('/').map_or("", |end| &beginning[..end])
}

/// Text that takes no more than its bound.
struct Bounded {
    text: String,
    bytes: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        let room = self.bytes - self.text.len();
        if words.len() <= room {
            self.text.push_str(words);
            return Ok(());
        }
        self.text.push_str(&words[..words.floor_char_boundary(room)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_large_data_is_short() {
        let fault = Fault::at(&format!("/a/{}", "é/".repeat(10_000)), "ü".repeat(1 << 20)).by("/properties/a");
        assert!(fault.message.len() <= MESSAGE_BYTES + '…'.len_utf8() && fault.message.ends_with('…'));
        assert!(fault.pointer.len() <= POINTER_BYTES && fault.pointer.ends_with("/é"), "{}", fault.pointer);
        assert_eq!(Fault::of_all("short").message, "short");
        assert_eq!(Fault::at(&format!("/{}", "x".repeat(POINTER_BYTES)), "").pointer, "");
        assert_eq!(if_short("12345", 5).as_deref(), Some("12345"));
        assert_eq!(if_short("123456", 5), None);
    }

    #[test]
    fn names_are_escaped_in_pointers() {
        let mut pointer = String::new();
        ["a/b", "a~b", "~1", ""].iter().for_each(|name| push_name(&mut pointer, name));
        assert_eq!(pointer, "/a~1b/a~0b/~01/");
    }
}
