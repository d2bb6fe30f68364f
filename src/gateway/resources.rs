// SPDX-License-Identifier: GPL-2.0-or-later
//! Something about each of a user's resources.

/// Values by resource, in order of its name. A user has few resources and there are many users: it takes the
/// memory of what is in it, where a B-tree takes that of eleven.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resources<T>(Vec<(Box<str>, T)>);

impl<T> Default for Resources<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Resources<T> {
    pub(super) fn get(&self, resource: &str) -> Option<&T> {
        let at = self.place(resource).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, resource: &str) -> bool {
        self.place(resource).is_ok()
    }

    /// Sets the value of a resource.
    pub(super) fn insert(&mut self, resource: &str, value: T) {
        match self.place(resource) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (resource.into(), value));
            }
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &T) -> bool) {
        self.0.retain(|(resource, value)| keep(resource, value));
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(resource, value)| (&**resource, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    fn place(&self, resource: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| (**own).cmp(resource))
    }
}

impl<T, R: AsRef<str>> FromIterator<(R, T)> for Resources<T> {
    fn from_iter<I: IntoIterator<Item = (R, T)>>(values: I) -> Self {
        let mut resources = Self::default();
        for (resource, value) in values {
            resources.insert(resource.as_ref(), value);
        }
        resources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_there_once_and_in_order() {
        let mut resources: Resources<_> = [("b", 1), ("a", 2), ("b", 3), ("", 4)]
            .into_iter()
            .collect();
        let all: Vec<_> = resources.iter().collect();
        assert_eq!(all, [("", &4), ("a", &2), ("b", &3)]);
        assert_eq!((resources.get("a"), resources.get("c")), (Some(&2), None));
        resources.retain(|_, value| *value > 2);
        assert!(!resources.contains("a") && resources.len() == 2);
    }
}
