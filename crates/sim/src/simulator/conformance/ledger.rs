//! Checks of the ports `Ledger` and `History`.

mod file_lists;
mod fixture;
mod history;
mod leases;
mod passes;
mod records;
mod sightings;
mod suspects;

pub use fixture::LedgerFixture;

/// Checks every promise of both ports, each with a fresh ledger.
pub async fn check<P: LedgerFixture>(fresh: impl Fn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        records::known_files_are_returned_in_the_order_requested,
        records::the_newest_row_of_a_path_is_returned,
        records::devices_and_sources_share_nothing,
        records::only_stored_files_with_a_batch_are_withdrawn_rows,
        sightings::a_sighting_dates_from_when_its_identity_was_first_seen,
        sightings::unrepeated_sightings_are_forgotten,
        sightings::unrepeated_sightings_are_kept_after_a_cut_listing,
        suspects::suspects_keep_their_count_and_their_order,
        passes::claims_last_until_their_device_reports_others,
        passes::the_last_reported_clock_is_kept,
        records::committed_data_is_there_for_the_next_process,
        records::concurrent_records_get_rows_of_their_own,
        leases::a_second_pass_makes_the_lease_of_the_first_stale,
        leases::a_stale_lease_writes_nothing,
        leases::a_stale_lease_keeps_what_the_successor_reported,
        leases::a_lease_changes_nothing_of_another_device,
        history::ids_are_those_of_the_ledger,
        history::a_device_that_was_never_visited_has_no_history,
        history::a_pass_has_no_outcome_until_it_is_finished,
        history::passes_are_listed_newest_first,
        history::a_status_has_the_last_report_and_all_totals,
        history::a_device_fails_since_its_first_failure,
        history::only_a_complete_survey_replaces_the_remaining_files,
        file_lists::a_recorded_file_is_read_as_it_was_written,
        file_lists::files_are_listed_by_device_and_source_oldest_first,
        file_lists::a_filter_selects_the_files_that_match_it,
        file_lists::each_name_and_content_in_the_store_is_listed_once,
    )
}
