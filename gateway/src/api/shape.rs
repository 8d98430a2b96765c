//! A look at a request before it is decoded, so that decoding it cannot be made expensive.
//!
//! The decoder makes room for as many elements as an array claims to have, and for as many tagged
//! fields. Here a request is walked along its schema first: an array that claims more elements than
//! are there, or a request with more of them than any client sends, never reaches the decoder.
use bytes::Buf as _;
use kop_wire::kafka_protocol::messages::ApiKey;

mod tables;

/// Array elements and tagged fields that one request may have.
const MOST_ELEMENTS: usize = 100_000;

/// A request that does not follow its schema, or is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misshapen {
    /// It ends within a field.
    #[error("cut short")]
    Short,
    /// A length that is none.
    #[error("invalid length")]
    Length,
    /// A tagged field whose size is not that of its contents.
    #[error("tagged field of the wrong size")]
    Tag,
    /// Too many array elements and tagged fields.
    #[error("more than {MOST_ELEMENTS} elements")]
    Elements,
    /// No schema: a mistake of the gateway, which a test finds.
    #[error("no schema")]
    Unknown,
}

/// The schema of one request in all its versions.
#[derive(Debug)]
struct Schema {
    key: ApiKey,
    /// The first version with compact lengths and tagged fields (KIP-482).
    flexible_from: i16,
    fields: Struct,
}

/// Fields one behind the other; in flexible versions tagged fields follow.
#[derive(Debug)]
struct Struct {
    fields: &'static [Field],
    /// The tagged fields that the decoder reads in place.
    tags: &'static [(u32, Kind)],
}

/// A field and the versions that have it.
#[derive(Debug)]
struct Field {
    from: i16,
    to: i16,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, or none.
    Text,
    /// Bytes with a length of their own, or none.
    Bytes,
    /// An array of structures, or none.
    Structs(&'static Struct),
    /// An array of anything else, or none.
    Each(&'static Kind),
    /// A structure in place.
    Inline(&'static Struct),
    /// A structure behind a byte that says whether it is there.
    Optional(&'static Struct),
}

/// Checks the body of a request, without its header.
///
/// # Errors
/// Says what is wrong with it. Bytes behind the last field are no error, as in Kafka.
pub(crate) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<(), Misshapen> {
    walk(key, version, body).map(|_| ())
}

/// Skips the tagged fields of a request's header.
pub(crate) fn skip_tags(bytes: &mut bytes::Bytes) -> Result<(), Misshapen> {
    let mut walk = Walk {
        rest: bytes,
        version: 0,
        flexible: true,
        elements: 0,
    };
    walk.tags(&[])?;
    let skipped = bytes.len() - walk.rest.len();
    bytes.advance(skipped);
    Ok(())
}

/// Walks a body and gives what is behind its last field.
pub(crate) fn walk(key: ApiKey, version: i16, body: &[u8]) -> Result<&[u8], Misshapen> {
    let schema = tables::SCHEMAS.iter().find(|schema| schema.key == key);
    let schema = schema.ok_or(Misshapen::Unknown)?;
    let flexible = version >= schema.flexible_from;
    let mut walk = Walk {
        rest: body,
        version,
        flexible,
        elements: 0,
    };
    walk.structure(&schema.fields)?;
    Ok(walk.rest)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, structure: &Struct) -> Result<(), Misshapen> {
        for Field { from, to, kind } in structure.fields {
            if (*from..=*to).contains(&self.version) {
                self.kind(kind)?;
            }
        }
        if self.flexible {
            self.tags(structure.tags)
        } else {
            Ok(())
        }
    }

    fn kind(&mut self, kind: &Kind) -> Result<(), Misshapen> {
        match kind {
            Kind::Fixed(size) => self.skip(*size),
            Kind::Text if self.flexible => self.compact_length()?.map_or(Ok(()), |n| self.skip(n)),
            Kind::Text => {
                let length = self.rest.try_get_i16().map_err(|_| Misshapen::Short)?;
                absent_or(length.into())?.map_or(Ok(()), |n| self.skip(n))
            }
            Kind::Bytes => self.length()?.map_or(Ok(()), |n| self.skip(n)),
            Kind::Structs(of) => self.each(|walk| walk.structure(of)),
            Kind::Each(of) => self.each(|walk| walk.kind(of)),
            Kind::Inline(structure) => self.structure(structure),
            Kind::Optional(structure) => {
                // As the decoder takes it: 1 is there, anything else is not.
                match self.rest.try_get_i8().map_err(|_| Misshapen::Short)? {
                    1 => self.structure(structure),
                    _ => Ok(()),
                }
            }
        }
    }

    fn each(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Misshapen>,
    ) -> Result<(), Misshapen> {
        let Some(count) = self.length()? else {
            return Ok(());
        };
        self.count(count)?;
        (0..count).try_for_each(|_| element(self))
    }

    /// Accounts for `more` elements, of which each is at least a byte.
    fn count(&mut self, more: usize) -> Result<(), Misshapen> {
        if more > self.rest.len() {
            return Err(Misshapen::Short);
        }
        self.elements += more;
        if self.elements > MOST_ELEMENTS {
            Err(Misshapen::Elements)
        } else {
            Ok(())
        }
    }

    fn tags(&mut self, known: &[(u32, Kind)]) -> Result<(), Misshapen> {
        let count = self.varint()?;
        self.count(count.try_into().map_err(|_| Misshapen::Length)?)?;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = usize::try_from(self.varint()?).map_err(|_| Misshapen::Length)?;
            let before = self.rest.len();
            match known.iter().find(|(of, _)| *of == tag) {
                Some((_, kind)) => {
                    self.kind(kind)?;
                    if before - self.rest.len() != size {
                        return Err(Misshapen::Tag);
                    }
                }
                None => self.skip(size)?,
            }
        }
        Ok(())
    }

    /// The length of an array or of bytes; `None` where there is none.
    fn length(&mut self) -> Result<Option<usize>, Misshapen> {
        if self.flexible {
            return self.compact_length();
        }
        absent_or(self.rest.try_get_i32().map_err(|_| Misshapen::Short)?)
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Misshapen> {
        let length = self.varint()?.checked_sub(1);
        length
            .map(|n| usize::try_from(n).map_err(|_| Misshapen::Length))
            .transpose()
    }

    fn varint(&mut self) -> Result<u32, Misshapen> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = u32::from(self.rest.try_get_u8().map_err(|_| Misshapen::Short)?);
            if shift == 28 && byte > 0x0f {
                return Err(Misshapen::Length);
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    fn skip(&mut self, size: usize) -> Result<(), Misshapen> {
        self.rest = self.rest.get(size..).ok_or(Misshapen::Short)?;
        Ok(())
    }
}

/// A length as older versions write it: −1 for nothing at all.
fn absent_or(length: i32) -> Result<Option<usize>, Misshapen> {
    match length {
        -1 => Ok(None),
        _ => usize::try_from(length)
            .map(Some)
            .map_err(|_| Misshapen::Length),
    }
}

#[cfg(test)]
mod tests;
