//! Quantities as Kubernetes writes them (`1.5Gi`, `500M`, `1e9`), exactly, without floating point.
//!
//! Grammar and rounding are those of apimachinery's `resource.Quantity`: what is finer than a
//! thousandth is rounded away from zero.

use crate::model::sizes::Bytes;

/// Why a text is no quantity, or no number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// There is no digit.
    #[error("it has no digits")]
    NoDigits,
    /// What follows the digits is no unit.
    #[error("its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent")]
    Unit,
    /// It does not fit.
    #[error("it is too large or too finely written")]
    TooLarge,
    /// Sizes are not negative.
    #[error("it is negative")]
    Negative,
}

/// A quantity in thousandths.
pub fn parse_milli(text: &str) -> Result<i128, QuantityError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') {
        return Err(QuantityError::Unit);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(QuantityError::NoDigits);
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
    let mantissa = match digits.as_str() {
        "" => 0,
        digits => digits
            .parse::<i128>()
            .map_err(|_| QuantityError::TooLarge)?,
    };
    let (multiply, divide) = scale(unit)?;
    let size = scaled(mantissa, multiply, divide, fraction.len())?;
    Ok(if negative { -size } else { size })
}

/// A quantity as bytes; a part of a byte is a whole one.
pub fn parse_bytes(text: &str) -> Result<Bytes, QuantityError> {
    let milli = parse_milli(text)?;
    if milli < 0 {
        return Err(QuantityError::Negative);
    }
    let bytes = milli.unsigned_abs().div_ceil(1000);
    u64::try_from(bytes)
        .map(Bytes)
        .map_err(|_| QuantityError::TooLarge)
}

/// What a unit multiplies by and divides by.
fn scale(unit: &str) -> Result<(i128, i128), QuantityError> {
    Ok(match unit {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let exponent = exponent
                .strip_prefix(['e', 'E'])
                .ok_or(QuantityError::Unit)?;
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(QuantityError::Unit);
            }
            let power = unsigned
                .parse()
                .ok()
                .and_then(|power| 10_i128.checked_pow(power))
                .ok_or(QuantityError::TooLarge)?;
            if exponent.starts_with('-') {
                (1, power)
            } else {
                (power, 1)
            }
        }
    })
}

/// Thousandths of a mantissa with so many decimals: multiplied before it is divided, rounded up.
fn scaled(
    mantissa: i128,
    multiply: i128,
    divide: i128,
    decimals: usize,
) -> Result<i128, QuantityError> {
    let product = mantissa
        .checked_mul(multiply)
        .and_then(|product| product.checked_mul(1000));
    let divisor = u32::try_from(decimals)
        .ok()
        .and_then(|decimals| 10_i128.checked_pow(decimals))
        .and_then(|power| power.checked_mul(divide));
    match (product, divisor) {
        (Some(product), Some(divisor)) => {
            Ok(product / divisor + i128::from(product % divisor != 0))
        }
        _ => Err(QuantityError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_of_every_shape() {
        let texts = [
            "0",
            "1Gi",
            "1.5Gi",
            "1500m",
            "1",
            "0.1",
            "1E",
            "1Ei",
            "16Ei",
            "15Ei",
            "1E3",
            "1e3",
            "12e-1",
            "1e-10",
            "100M",
            "0.5k",
            ".5",
            "1.",
            "+5",
            "-5",
            "-0",
            "1n",
            "007Ki",
            "1.000000000000000000000000000000000000000000000000Mi",
            "",
            "Gi",
            ".",
            "+",
            "1.2.3",
            " 1Gi",
            "1Gi ",
            "1 Gi",
            "1KB",
            "1gi",
            "1ei",
            "1e",
            "1e+",
            "1e1.5",
            "1E3Gi",
            "--1",
            "1e40",
            "99999999999999999999999999999999999999999",
            "0x10",
            "١",
            "1Gí",
        ];
        let mut shown = String::new();
        for text in texts {
            match parse_bytes(text) {
                Ok(bytes) => writeln!(shown, "{text:?} {}", bytes.0).unwrap(),
                Err(error) => writeln!(shown, "{text:?} no: {error}").unwrap(),
            }
        }
        expect![[r#"
            "0" 0
            "1Gi" 1073741824
            "1.5Gi" 1610612736
            "1500m" 2
            "1" 1
            "0.1" 1
            "1E" 1000000000000000000
            "1Ei" 1152921504606846976
            "16Ei" no: it is too large or too finely written
            "15Ei" 17293822569102704640
            "1E3" 1000
            "1e3" 1000
            "12e-1" 2
            "1e-10" 1
            "100M" 100000000
            "0.5k" 500
            ".5" 1
            "1." 1
            "+5" 5
            "-5" no: it is negative
            "-0" 0
            "1n" 1
            "007Ki" 7168
            "1.000000000000000000000000000000000000000000000000Mi" 1048576
            "" no: it has no digits
            "Gi" no: it has no digits
            "." no: it has no digits
            "+" no: it has no digits
            "1.2.3" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            " 1Gi" no: it has no digits
            "1Gi " no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1 Gi" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1KB" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1gi" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1ei" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1e" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1e+" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1e1.5" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "1E3Gi" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "--1" no: it has no digits
            "1e40" no: it is too large or too finely written
            "99999999999999999999999999999999999999999" no: it is too large or too finely written
            "0x10" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
            "١" no: it has no digits
            "1Gí" no: its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent
        "#]].assert_eq(&shown);
    }

    #[test]
    fn thousandths_round_away_from_zero() {
        assert_eq!(parse_milli("0.0001"), Ok(1));
        assert_eq!(parse_milli("-0.0001"), Ok(-1));
        assert_eq!(parse_milli("1500m"), Ok(1500));
        assert_eq!(parse_milli("16Ei"), Ok((16 << 60) * 1000));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            let _ = parse_bytes(&text);
        }

        #[test]
        fn nearly_right_text_is_survived(text in "[+-]?[0-9.]{0,45}([eE][+-]?[0-9]{0,5}|[numkMGTPE]i?)?") {
            let _ = parse_bytes(&text);
        }

        #[test]
        fn whole_numbers_are_themselves(number in any::<u64>()) {
            prop_assert_eq!(parse_bytes(&number.to_string()), Ok(Bytes(number)));
        }
    }
}
