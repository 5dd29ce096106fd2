//! Checks of the port `Session`.

mod fixture;
mod listing;
mod reading;
mod removing;
mod renaming;

pub use fixture::{CLOCK_STEP, DeviceFixture};

/// Checks every promise of the port, each with a fresh device.
pub async fn check<P: DeviceFixture>(fresh: impl AsyncFn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh().await,
        listing::a_survey_lists_every_file_and_folder,
        listing::a_missing_source_fails_and_the_session_stays_usable,
        renaming::a_rename_moves_a_file_and_makes_its_folders,
        renaming::a_rename_changes_only_the_ctime_of_an_identity,
        renaming::every_write_changes_the_identity,
        renaming::a_file_held_open_is_reported_open,
        reading::a_file_is_read_whole_or_from_an_offset,
        reading::a_file_that_grew_shrank_or_vanished_is_reported,
        reading::files_fetched_together_arrive_in_order,
        reading::the_device_digests_its_own_bytes,
        removing::removing_deletes_a_file_and_a_missing_file_counts_as_removed,
        removing::only_empty_folders_are_removed,
    )
}
