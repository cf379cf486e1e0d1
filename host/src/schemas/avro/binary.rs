use super::shape::{Definition, Shape, Shapes};
use crate::schemas::violation::{Fault, push_name};
use std::fmt::Display;

/// How deep data may nest; as deep as JSON may.
const DEPTH: usize = 128;

/// Values that may be looked at beyond one for each byte: some take no byte, and any number of them can be announced.
const EMPTY_VALUES: usize = 100_000;

/// Compares Avro's own encoding with a schema. Nothing is made of it: lengths that it announces are compared with what is there.
///
/// # Errors
/// The first fault; its place is told as if the data were JSON.
pub(super) fn check(shapes: &Shapes, data: &[u8]) -> Result<(), Fault> {
    let mut walk = Walk {
        shapes,
        rest: data,
        pointer: String::new(),
        depth: 0,
        looks_left: data.len().saturating_add(EMPTY_VALUES),
    };
    walk.value(&shapes.root)?;
    match walk.rest.len() {
        0 => Ok(()),
        more => Err(Fault::of_all(format_args!("{more} bytes stand behind the data"))),
    }
}

struct Walk<'s, 'd> {
    shapes: &'s Shapes,
    /// What was not looked at yet.
    rest: &'d [u8],
    /// The place in the data.
    pointer: String,
    depth: usize,
    looks_left: usize,
}

impl<'s, 'd> Walk<'s, 'd> {
    fn value(&mut self, shape: &'s Shape) -> Result<(), Fault> {
        self.looks_left = match self.looks_left.checked_sub(1) {
            Some(left) => left,
            None => return Err(self.fault("there are too many values")),
        };
        match shape {
            Shape::Null => Ok(()),
            Shape::Boolean => match self.take(1)? {
                [0 | 1] => Ok(()),
                _ => Err(self.fault("it is not a `boolean`: a byte of 0 or 1")),
            },
            Shape::Int => match i32::try_from(self.long()?) {
                Ok(_) => Ok(()),
                Err(_) => Err(self.fault("it is not an `int`: a whole number from -2^31 to 2^31-1")),
            },
            Shape::Long => self.long().map(drop),
            Shape::Float => self.take(4).map(drop),
            Shape::Double => self.take(8).map(drop),
            Shape::Bytes => self.counted().map(drop),
            Shape::String => self.text().map(drop),
            Shape::Array(items) => {
                let mut index = 0_usize;
                self.blocks(|walk| {
                    let name = index.to_string();
                    index += 1;
                    walk.within(&name, items)
                })
            }
            Shape::Map(values) => self.blocks(|walk| {
                let name = walk.text()?;
                walk.within(name, values)
            }),
            Shape::Union(branches) => {
                let branch = self.long()?;
                match usize::try_from(branch).ok().and_then(|branch| branches.get(branch)) {
                    Some(branch) => self.deeper(|walk| walk.value(branch)),
                    None => Err(self.fault(format_args!("there is no branch {branch}; there are {}", branches.len()))),
                }
            }
            Shape::Named(number) => match &self.shapes.named(*number).definition {
                Definition::Record(fields) => {
                    fields.iter().try_for_each(|field| self.within(&field.name, &field.shape))
                }
                Definition::Enum(symbols) => {
                    let symbol = self.long()?;
                    let is_known = usize::try_from(symbol).is_ok_and(|symbol| symbol < symbols.len());
                    let no_symbol =
                        format_args!("there is no symbol {symbol}; there are {}", symbols.len()).to_string();
                    if is_known { Ok(()) } else { Err(self.fault(no_symbol)) }
                }
                Definition::Fixed(size) => self.take(*size).map(drop),
            },
        }
    }

    /// The items of an array, or the members of a map: blocks of them, and an empty one in the end.
    fn blocks(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // Its size in bytes, for those who pass over it.
                let bytes = self.long()?;
                let there = self.rest.len();
                self.block(count.unsigned_abs(), &mut each)?;
                if usize::try_from(bytes).ok() != Some(there - self.rest.len()) {
                    return Err(self.fault(format_args!("a block says that it has {bytes} bytes, and has others")));
                }
            } else {
                self.block(count.unsigned_abs(), &mut each)?;
            }
        }
    }

    fn block(&mut self, count: u64, each: &mut impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        // However many are announced: each is a look, or fails.
        (0..count).try_for_each(|_| each(self))
    }

    fn within(&mut self, name: &str, shape: &'s Shape) -> Result<(), Fault> {
        let place = self.pointer.len();
        push_name(&mut self.pointer, name);
        self.deeper(|walk| walk.value(shape))?;
        self.pointer.truncate(place);
        Ok(())
    }

    fn deeper(&mut self, look: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.depth == DEPTH {
            return Err(self.fault(format_args!("it nests deeper than {DEPTH} levels")));
        }
        self.depth += 1;
        look(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn text(&mut self) -> Result<&'d str, Fault> {
        let bytes = self.counted()?;
        std::str::from_utf8(bytes).map_err(|_| self.fault("it is a text, and not UTF-8"))
    }

    /// Bytes behind their number.
    fn counted(&mut self) -> Result<&'d [u8], Fault> {
        let count = self.long()?;
        match usize::try_from(count) {
            Ok(count) => self.take(count),
            Err(_) => Err(self.fault(format_args!("it has a length of {count}"))),
        }
    }

    /// A whole number: seven bits a byte, the lowest first, the sign in the lowest of all.
    fn long(&mut self) -> Result<i64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(self.fault("it is a whole number of more than 64 bits"))
    }

    fn take(&mut self, count: usize) -> Result<&'d [u8], Fault> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => {
                let there = self.rest.len();
                Err(self.fault(format_args!("{count} bytes should follow, and {there} are there")))
            }
        }
    }

    fn fault(&self, message: impl Display) -> Fault {
        Fault::at(&self.pointer, message)
    }
}
