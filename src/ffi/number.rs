//! Numbers from the host: enumerations, switches and times, each checked before it means anything.

use std::time::Duration;

use super::error::{FfiError, FfiResult};
use super::status::SL_ERROR_OUT_OF_RANGE;

/// One value of an enumeration: its number, its constant's name in C, and what it is here.
pub(crate) type Choice<T> = (i32, &'static str, T);

/// An enumeration parameter.
pub(crate) fn choice<T: Copy>(parameter: &str, value: i32, all: &[Choice<T>]) -> FfiResult<T> {
    match all.iter().find(|(number, ..)| *number == value) {
        Some((_, _, choice)) => Ok(*choice),
        None => {
            let names = all
                .iter()
                .map(|(number, name, _)| format!("{name} ({number})"));
            let names = names.collect::<Vec<_>>().join(", ");
            Err(FfiError::argument(
                parameter,
                format!("is {value}, which is none of {names}"),
            ))
        }
    }
}

/// A switch: 0 or 1.
pub(crate) fn switch(parameter: &str, value: i32) -> FfiResult<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FfiError::argument(
            parameter,
            format!("is {value}; it must be 0 or 1"),
        )),
    }
}

/// A number that is neither infinite nor NaN.
pub(crate) fn finite(parameter: &str, value: f64) -> FfiResult<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    let message = format!("{parameter} is {value}; it must be a finite number");
    Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message))
}

/// The largest number of seconds that is a time: beyond it, fractions of a second are lost.
pub(crate) const LAST_MOMENT_S: f64 = 1e15;

/// A moment in seconds, from any epoch.
pub(crate) fn moment(parameter: &str, seconds: f64) -> FfiResult<f64> {
    if seconds.abs() <= LAST_MOMENT_S {
        return Ok(seconds);
    }
    let message = format!("{parameter} is {seconds}; it must be seconds, from -1e15 to 1e15");
    Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message))
}

/// How long a blocking call may take: seconds, 0 or more. Infinity, or more than a hundred years,
/// waits for as long as it takes (`None`).
pub(crate) fn timeout(parameter: &str, seconds: f64) -> FfiResult<Option<Duration>> {
    const FOREVER_S: f64 = 100.0 * 366.0 * 86_400.0;
    if seconds.is_nan() || seconds < 0.0 {
        let message = format!("{parameter} is {seconds}; it must be 0 s or more");
        return Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message));
    }
    Ok((seconds < FOREVER_S).then(|| Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_is_refused_with_the_values_there_are() {
        let all = [(0, "SL_A", 'a'), (2, "SL_B", 'b')];
        assert_eq!(choice("kind", 2, &all), Ok('b'));
        let error = choice("kind", 1, &all).unwrap_err();
        assert_eq!(
            error.message,
            "kind is 1, which is none of SL_A (0), SL_B (2)"
        );
        assert!(choice("kind", i32::MIN, &all).is_err());
    }

    #[test]
    fn a_switch_is_zero_or_one() {
        assert_eq!((switch("on", 0), switch("on", 1)), (Ok(false), Ok(true)));
        assert!(switch("on", 2).is_err() && switch("on", -1).is_err());
    }

    #[test]
    fn a_timeout_is_refused_when_negative_or_not_a_number() {
        assert_eq!(
            timeout("timeout", 0.25),
            Ok(Some(Duration::from_millis(250)))
        );
        assert_eq!(timeout("timeout", 0.0), Ok(Some(Duration::ZERO)));
        assert_eq!(timeout("timeout", f64::INFINITY), Ok(None));
        assert_eq!(timeout("timeout", f64::MAX), Ok(None));
        for seconds in [-0.1, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(
                timeout("timeout", seconds).unwrap_err().status,
                SL_ERROR_OUT_OF_RANGE
            );
        }
    }

    #[test]
    fn a_moment_is_refused_when_it_is_too_far_away_to_be_told_from_the_next() {
        assert_eq!(moment("now", -1e15), Ok(-1e15));
        for seconds in [1.1e15, -1e300, f64::INFINITY, f64::NAN] {
            assert_eq!(
                moment("now", seconds).unwrap_err().status,
                SL_ERROR_OUT_OF_RANGE
            );
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused() {
        assert_eq!(finite("value", -0.5), Ok(-0.5));
        assert!(finite("value", f64::NAN).is_err() && finite("value", f64::INFINITY).is_err());
    }
}
