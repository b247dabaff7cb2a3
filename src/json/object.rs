//! The ordered dictionary behind [`Json::Object`].

use indexmap::IndexMap;

use super::Json;

/// String keys to values, in the order in which each key was first inserted.
///
/// Boxed, so that a [`Json`] is three words and an array of numbers stays small.
#[derive(Debug, Default)]
pub struct Object(Box<IndexMap<String, Json>>);

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Object {
        Object::default()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// The mutable value under `key`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.get_mut(key)
    }

    /// Whether the object has `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Sets `key`, as Python's `d[key] = value`: an existing key keeps its place. Returns the old value.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        self.0.insert(key.into(), value.into())
    }

    /// Removes `key` and keeps the order of the other keys, in time linear in the size.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        self.0.shift_remove(key)
    }

    /// Sorts the keys by their bytes.
    pub(super) fn sort_keys(&mut self) {
        self.0.sort_unstable_keys();
    }

    /// All pairs in order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter()
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// All values in order, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Json> {
        self.0.values_mut()
    }

    /// All values in order.
    pub fn values(&self) -> impl Iterator<Item = &Json> {
        self.0.values()
    }
}

// Written by hand: the map's own implementations need several stack frames for each level of nesting,
// and values may nest up to `MAX_DEPTH`.
impl Clone for Object {
    fn clone(&self) -> Object {
        let mut map = IndexMap::with_capacity(self.len());
        for (key, value) in self {
            map.insert(key.clone(), value.clone());
        }
        Object(Box::new(map))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        if self.len() != other.len() {
            return false;
        }
        for (key, value) in self {
            match other.get(key) {
                Some(theirs) if value == theirs => {}
                _ => return false,
            }
        }
        true
    }
}

/// Borrowed pairs of an [`Object`], in order.
pub type Iter<'a> = indexmap::map::Iter<'a, String, Json>;

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a String, &'a Json);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = indexmap::map::IntoIter<String, Json>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(String, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(pairs: I) -> Object {
        Object(Box::new(pairs.into_iter().collect()))
    }
}

impl Extend<(String, Json)> for Object {
    fn extend<I: IntoIterator<Item = (String, Json)>>(&mut self, pairs: I) {
        self.0.extend(pairs);
    }
}
