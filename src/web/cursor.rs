//! Cursors: where the next page of a list begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Makes and reads the cursors of one list.
///
/// A cursor is the last id of a page and a keyed hash over it. The key is the list's name, so
/// that another list's cursor, or an altered one, is noticed. It is no secret and needs to be
/// none: whoever computes a cursor reads only a list that they may read anyway.
#[derive(Debug, Clone)]
pub struct Cursor(hmac::Key);

const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 8;

impl Cursor {
    /// The cursors of the list of this name.
    pub fn of(list: &str) -> Cursor {
        Cursor(hmac::Key::new(hmac::HMAC_SHA256, list.as_bytes()))
    }

    /// A cursor behind the row `id`.
    pub fn seal(&self, id: i64) -> String {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.tag(&id.to_be_bytes()));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The id in a cursor, or `None` where this list did not make it.
    pub fn open(&self, text: &str) -> Option<i64> {
        let bytes: [u8; ID_BYTES + TAG_BYTES] =
            URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, tag) = bytes.split_first_chunk::<ID_BYTES>()?;
        let id = i64::from_be_bytes(*id);
        (self.tag(&id.to_be_bytes()) == tag).then_some(id)
    }

    /// A cursor behind a row that is named by a text.
    pub fn seal_text(&self, place: &str) -> String {
        let mut bytes = self.tag(place.as_bytes()).to_vec();
        bytes.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The text in a cursor, or `None` where this list did not make it.
    pub fn open_text(&self, text: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, place) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let known = self.tag(place) == *tag;
        known.then(|| String::from_utf8(place.to_vec()).ok())?
    }

    fn tag(&self, place: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hmac::sign(&self.0, place).as_ref()[..TAG_BYTES]);
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
    fn a_text_comes_back_from_its_own_list_alone() {
        let (tasks, users) = (Cursor::of("tasks"), Cursor::of("users"));
        for place in ["", "1900000000000-x", "ä"] {
            let cursor = tasks.seal_text(place);
            assert_eq!(tasks.open_text(&cursor).as_deref(), Some(place));
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
