//! The round-trip time estimator and the retransmission time-out (RFC 6298), in microseconds.

use base::Duration;

use crate::extension::Extension;
use crate::limits::{RTO_INITIAL, RTO_MAX, RTO_MIN};

/// Takes one sample into the estimates.
pub(crate) fn on_sample(extension: &mut Extension, sample_us: u32) {
    let sample = sample_us.max(1);
    if extension.srtt_us == 0 {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-2
        //# (2.2) SRTT <- R, RTTVAR <- R/2
        extension.srtt_us = sample;
        extension.rttvar_us = sample / 2;
        return;
    }
    //= https://www.rfc-editor.org/rfc/rfc6298#section-2
    //# (2.3) RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'| with beta = 1/4
    let deviation = extension.srtt_us.abs_diff(sample);
    extension.rttvar_us = extension.rttvar_us - extension.rttvar_us / 4 + deviation / 4;
    //# SRTT <- (1 - alpha) * SRTT + alpha * R' with alpha = 1/8
    extension.srtt_us = (extension.srtt_us - extension.srtt_us / 8 + sample / 8).max(1);
}

/// The time-out after `extension.backoff` time-outs in a row.
pub(crate) fn timeout(extension: &Extension) -> Duration {
    let base = if extension.srtt_us == 0 {
        RTO_INITIAL.as_nanos()
    } else {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-2
        //# RTO <- SRTT + max (G, K*RTTVAR) where K = 4
        let variation = u64::from(extension.rttvar_us) * 4;
        (u64::from(extension.srtt_us) + variation.max(1_000)) * 1_000
    };
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //# (5.5) RTO <- RTO * 2 ("back off the timer")
    let backed_off = base.max(RTO_MIN.as_nanos()) << extension.backoff.min(16);
    Duration::from_nanos(backed_off.min(RTO_MAX.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::{on_sample, timeout};
    use crate::extension::Extension;
    use base::Duration;
    use zerocopy::FromZeros;

    #[test]
    fn timeout_is_a_second_before_the_first_sample_and_doubles() {
        let mut extension = Extension::new_zeroed();
        assert_eq!(timeout(&extension), Duration::from_secs(1));
        extension.backoff = 3;
        assert_eq!(timeout(&extension), Duration::from_secs(8));
        extension.backoff = 15;
        assert_eq!(timeout(&extension), Duration::from_secs(60));
    }

    #[test]
    fn estimates_follow_the_rfc() {
        let mut extension = Extension::new_zeroed();
        on_sample(&mut extension, 100_000);
        assert_eq!((extension.srtt_us, extension.rttvar_us), (100_000, 50_000));
        assert_eq!(timeout(&extension), Duration::from_millis(300));
        on_sample(&mut extension, 180_000);
        assert_eq!((extension.srtt_us, extension.rttvar_us), (110_000, 57_500));
        for _ in 0..200 {
            on_sample(&mut extension, 50);
        }
        assert_eq!(timeout(&extension), Duration::from_millis(200), "the floor holds");
    }
}
