//! The engine's work for each file, in a dry run and in a whole pass.

use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::exclude::Exclude;
use engine::fleet::{Bounds, sweep};
use engine::placement::{Layout, LayoutPart, NameRule};
use engine::rules::{DeviceRules, Mode, ReleaseRule, Rules};
use engine::world::Stop;
use model::DeviceName;

use crate::world::{Counts, Obliging};
use crate::{Work, listing, runtime};

/// A dry run: a survey of `count` files, classified and decided.
pub(crate) fn plan(count: usize) -> Work {
    swept(count, Mode::DryRun, |counts| {
        counts.planned.load(Ordering::Relaxed)
    })
}

/// All files are withdrawn, fetched, verified, published, recorded and released.
pub(crate) fn whole(count: usize) -> Work {
    swept(count, Mode::Act, |counts| {
        assert_eq!(
            counts.recorded.load(Ordering::Relaxed),
            counts.removed.load(Ordering::Relaxed)
        );
        counts.removed.load(Ordering::Relaxed)
    })
}

fn swept(files: usize, mode: Mode, done: fn(&Counts) -> usize) -> Work {
    let (world, rules, runtime) = (Obliging::new(files), [rules()], runtime());
    Box::new(move || {
        let swept = runtime.block_on(sweep(
            &world,
            &rules,
            Bounds::with_parallel(1),
            mode,
            &Stop::default(),
        ));
        assert_eq!(swept.unwrap().passes.len(), 1);
        done(world.counts())
    })
}

fn rules() -> DeviceRules {
    DeviceRules {
        name: DeviceName::new("raspberry1").unwrap(),
        sources: vec![listing::source()],
        rules: Rules {
            settle: Duration::from_secs(30),
            settle_blind: Duration::from_mins(10),
            max_listing_time: Duration::from_mins(15),
            exclude: Exclude::new(["*.tmp".to_owned(), "/cache/".to_owned()]).unwrap(),
            done_suffix: None,
            release: ReleaseRule::Delete,
            prune_empty: false,
            layout: Layout {
                parts: vec![
                    LayoutPart::Device,
                    LayoutPart::Literal("/".to_owned()),
                    LayoutPart::Path,
                ],
            },
            names: NameRule::Bytes,
        },
    }
}
