//! Checks of the ports `StoreStatus`, `Store` and `StoreInspection`.

mod auditing;
mod fixture;
mod inspecting;
mod publishing;
mod staging;

pub use fixture::StoreFixture;

/// Checks every promise of the ports, each with a fresh store.
pub async fn check<P: StoreFixture>(fresh: impl Fn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        staging::a_sealed_file_is_described_and_not_visible,
        publishing::a_published_file_is_visible_and_whole,
        publishing::a_taken_name_is_never_replaced,
        publishing::an_obstructed_folder_is_reported_by_its_depth,
        publishing::nothing_is_published_into_the_control_folder,
        publishing::of_two_files_with_one_name_exactly_one_is_published,
        staging::only_the_same_version_is_resumed_from_whole_ranges,
        staging::discarded_files_leave_nothing,
        staging::retiring_keeps_the_published_file,
        staging::a_new_process_tidies_leftovers_of_the_last,
        inspecting::a_stored_copy_is_proved_by_its_bytes,
        inspecting::a_store_reports_its_id,
        inspecting::the_longest_component_is_accepted_and_no_longer_one,
        inspecting::obstacles_to_a_file_are_foreseen,
        publishing::a_folder_that_staging_cannot_link_to_gets_its_files,
        auditing::every_visible_file_is_listed_once,
        auditing::a_listing_ends_with_its_receiver,
        auditing::a_copy_is_compared_with_its_record,
        auditing::an_unreadable_copy_is_not_called_missing,
        auditing::a_quarantined_copy_is_not_visible_and_replaces_nothing,
    )
}
