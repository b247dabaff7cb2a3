//! Cursors: the start of the next page of a list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Makes and reads the cursors of one list.
///
/// A cursor is the last id of a page with a keyed hash of the id. The key is the list's name, so a cursor
/// of another list and an altered cursor are refused. The key is not secret: a forged cursor gives
/// access only to a list that the caller may read anyway.
#[derive(Debug, Clone)]
pub struct Cursor(hmac::Key);

const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 8;

impl Cursor {
    /// The cursors of the list with this name.
    pub fn of(list: &str) -> Cursor {
        Cursor(hmac::Key::new(hmac::HMAC_SHA256, list.as_bytes()))
    }

    /// A cursor for the page after the row `id`.
    pub fn seal(&self, id: i64) -> String {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.tag(&id.to_be_bytes()));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The id in a cursor, or `None` for a cursor that is not of this list.
    pub fn open(&self, text: &str) -> Option<i64> {
        let bytes: [u8; ID_BYTES + TAG_BYTES] =
            URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, tag) = bytes.split_first_chunk::<ID_BYTES>()?;
        let id = i64::from_be_bytes(*id);
        (self.tag(&id.to_be_bytes()) == tag).then_some(id)
    }

    /// A cursor for the page after the row at `position`.
    pub fn seal_text(&self, position: &str) -> String {
        let mut bytes = self.tag(position.as_bytes()).to_vec();
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a cursor, or `None` for a cursor that is not of this list.
    pub fn open_text(&self, text: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, position) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let known = self.tag(position) == *tag;
        known.then(|| String::from_utf8(position.to_vec()).ok())?
    }

    fn tag(&self, position: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hmac::sign(&self.0, position).as_ref()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_in_its_own_list() {
        let (items, users) = (Cursor::of("items"), Cursor::of("users"));
        for id in [0, 7, -3, i64::MAX] {
            let cursor = items.seal(id);
            assert_eq!(items.open(&cursor), Some(id));
            assert_eq!(users.open(&cursor), None);
        }
    }

    #[test]
    fn a_text_cursor_opens_only_in_its_own_list() {
        let (tasks, users) = (Cursor::of("tasks"), Cursor::of("users"));
        for position in ["", "1900000000000-x", "ä"] {
            let cursor = tasks.seal_text(position);
            assert_eq!(tasks.open_text(&cursor).as_deref(), Some(position));
            assert_eq!(users.open_text(&cursor), None);
            assert_eq!(tasks.open_text(&cursor[1..]), None);
        }
        assert_eq!(tasks.open_text("!"), None);
    }

    #[test]
    fn an_altered_cursor_is_refused() {
        let items = Cursor::of("items");
        let cursor = items.seal(5);
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(items.open(&forged), None, "{forged}");
        }
        for foreign in ["", "5", "!!", &cursor[1..], &format!("{cursor}AA")] {
            assert_eq!(items.open(foreign), None, "{foreign}");
        }
    }
}
