//! What a file system keeps for itself in its root: no recording, and no fault.

use model::RelativePath;

/// Holds what `fsck` finds without a name, on ext2 to ext4. `fsck` needs the folder, and only root may list
/// it. Pieces in it may be recordings: where the login can list it they are gathered as any other file.
const LOST_AND_FOUND: &[u8] = b"lost+found";
/// What Windows writes about itself to every card that it sees.
const SYSTEM_VOLUME_INFORMATION: &[u8] = b"System Volume Information";

/// Whether a folder is the file system's own: it need not be listed, and must not be removed.
pub(crate) fn owns_folder(folder: &RelativePath) -> bool {
    [LOST_AND_FOUND, SYSTEM_VOLUME_INFORMATION].contains(&folder.file_name())
}

/// Whether a file is the file system's own.
pub(crate) fn owns_file(file: &RelativePath) -> bool {
    let folder = file.parent();
    folder.is_some_and(|folder| folder.components().any(|part| part == SYSTEM_VOLUME_INFORMATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_keeps_for_itself_is_told_from_recordings() {
        let path = |path: &str| RelativePath::new(path).unwrap();
        assert!(owns_folder(&path("lost+found")) && owns_folder(&path("card/lost+found")));
        assert!(!owns_folder(&path("lost+found/day")) && !owns_folder(&path(".Trash-1000")));
        assert!(owns_file(&path("System Volume Information/WPSettings.dat")));
        assert!(!owns_file(&path("lost+found/#12")) && !owns_file(&path("System Volume Information")));
    }
}
