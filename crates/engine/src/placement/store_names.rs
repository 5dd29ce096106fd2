//! The possible names of one file in the store, in the order in which they are tried.

use model::{Digest, NameError, RelativePath};
use sha2::{Digest as _, Sha256};

use super::component::insert_digest;

/// The possible names of one file in the store. Starts at the name that [`place`](super::place) returned.
///
/// The sequence depends on content and name alone. If a name is taken, the file becomes `stem~<8 hex of its
/// digest>.ext`, then 16 digits, then all 64. If a folder is obstructed, it is replaced by one with as many
/// digits of a digest of its own path: the same folder for all files in it. A repeated pass therefore arrives
/// at the same name, finds the same content there, and changes nothing.
#[derive(Debug, Clone)]
pub struct StoreNames {
    components: Vec<Vec<u8>>,
    /// For each component: how many digits of a digest it contains.
    digits: Vec<usize>,
    digest: Digest,
    max_component: usize,
}

impl StoreNames {
    /// Starts with the name that [`place`](super::place) returned. No component gets longer than
    /// `max_component` bytes.
    pub fn new(name: &RelativePath, digest: Digest, max_component: usize) -> Self {
        let components: Vec<Vec<u8>> = name.components().map(<[u8]>::to_vec).collect();
        Self {
            digits: vec![0; components.len()],
            components,
            digest,
            max_component,
        }
    }

    /// The name to try now.
    pub fn current(&self) -> Result<RelativePath, NameError> {
        self.up_to(self.components.len().saturating_sub(1))
    }

    /// The folder at `depth` (0 is the outermost) of the name to try now.
    pub fn folder(&self, depth: usize) -> Result<RelativePath, NameError> {
        self.up_to(depth)
    }

    fn up_to(&self, depth: usize) -> Result<RelativePath, NameError> {
        let parts = self.components.iter().zip(&self.digits).enumerate();
        let components = parts
            .take(depth.saturating_add(1))
            .map(|(at, (component, digits))| match *digits {
                0 => component.clone(),
                digits if at + 1 == self.components.len() => {
                    insert_digest(component, &self.digest, digits, self.max_component)
                }
                digits => insert_digest(component, &self.digest_of_path(at), digits, self.max_component),
            });
        RelativePath::new(components.collect::<Vec<_>>().join(&b'/'))
    }

    /// The digest of the path of the folder at `depth`, without any digits.
    fn digest_of_path(&self, depth: usize) -> Digest {
        let path = self.components.get(..=depth).unwrap_or_default().join(&b'/');
        Digest::from_bytes(Sha256::digest(path).into())
    }

    /// Moves on to the next name after other content took the current one. `false`: no name is left.
    pub fn advance_name(&mut self) -> bool {
        self.add_digits(self.components.len().saturating_sub(1))
    }

    /// Moves on to the next folder at `depth` after an obstacle took its place. `false`: none is left.
    pub fn advance_folder(&mut self, depth: usize) -> bool {
        self.add_digits(depth)
    }

    fn add_digits(&mut self, depth: usize) -> bool {
        let Some(digits) = self.digits.get_mut(depth) else {
            return false;
        };
        *digits = match digits {
            0 => 8,
            8 => 16,
            16 => 64,
            _ => return false,
        };
        true
    }
}
