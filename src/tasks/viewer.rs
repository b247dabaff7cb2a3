//! Viewers: who asks to see tasks.

/// Who asks to see tasks. Every read of a record takes a viewer, so that no caller of the engine can
/// forget to decide whose tasks may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// An operator, or a service without callers: sees the tasks of all callers.
    Everyone,
    /// A caller: sees the tasks that the caller submitted.
    Caller(String),
}

impl Viewer {
    /// Whether this viewer may see a task of the caller `owner`.
    pub fn may_see(&self, owner: Option<&str>) -> bool {
        match self {
            Viewer::Everyone => true,
            Viewer::Caller(name) => owner == Some(name),
        }
    }

    /// The caller whose tasks alone the viewer sees.
    pub fn only(&self) -> Option<&str> {
        match self {
            Viewer::Everyone => None,
            Viewer::Caller(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_sees_only_own_tasks() {
        let ada = Viewer::Caller("ada".to_owned());
        assert!(ada.may_see(Some("ada")));
        assert!(!ada.may_see(Some("grace")) && !ada.may_see(None) && !ada.may_see(Some("")));
        assert!(Viewer::Everyone.may_see(Some("grace")) && Viewer::Everyone.may_see(None));
    }
}
