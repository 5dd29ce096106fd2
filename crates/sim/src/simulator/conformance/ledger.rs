//! Checks of the port `Ledger`.

mod fixture;
mod passes;
mod records;
mod sightings;
mod suspects;

pub use fixture::LedgerFixture;

/// Checks every promise of the port, each with a fresh ledger.
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
    )
}
