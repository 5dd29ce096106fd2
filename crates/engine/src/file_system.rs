//! Files and folders that a file system keeps for itself: neither recordings nor faults.

use model::RelativePath;

/// Where `fsck` puts files without a name, on ext2 to ext4. `fsck` needs the folder, and only root may list
/// it. Its files may be pieces of recordings: if the login can list it, gleaner gathers them as any other
/// file.
const LOST_AND_FOUND: &[u8] = b"lost+found";
/// Where Windows writes its own data on every card that it mounts.
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
    fn files_of_the_file_system_are_not_recordings() {
        let path = |path: &str| RelativePath::new(path).unwrap();
        assert!(owns_folder(&path("lost+found")) && owns_folder(&path("card/lost+found")));
        assert!(!owns_folder(&path("lost+found/day")) && !owns_folder(&path(".Trash-1000")));
        assert!(owns_file(&path("System Volume Information/WPSettings.dat")));
        assert!(!owns_file(&path("lost+found/#12")) && !owns_file(&path("System Volume Information")));
    }
}
