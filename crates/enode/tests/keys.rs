//! What is a key, what is a signature, and what is refused as neither.
//!
//! Every public key enters through one function, so its checks are those of every protocol above:
//! length, prefix, both coordinates below the field prime, the curve equation, not infinity.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use enode::{KeyError, PublicKey, SecretKey, SignatureError, keccak256};

#[test]
fn a_key_is_the_same_in_all_three_forms() {
    let key = secret(7).public_key();

    assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    assert_eq!(PublicKey::from_bytes(&key.to_sec1()), Ok(key));
    assert_eq!(PublicKey::from_bytes(&key.to_compressed()), Ok(key));
}

#[test]
fn a_public_key_of_any_other_length_is_refused() {
    for length in (0..=130).filter(|length| ![33, 64, 65].contains(length)) {
        for first in [0x00, 0x02, 0x03, 0x04] {
            let mut bytes = vec![0x11; length];
            bytes.splice(..length.min(1), (length > 0).then_some(first));

            let error = KeyError::Length { got: length, want: "64, 65 or 33" };
            assert_eq!(PublicKey::from_bytes(&bytes), Err(error));
        }
    }
}

#[test]
fn a_prefix_that_does_not_belong_to_the_length_is_refused() {
    let key = secret(7).public_key();
    for prefix in 0..=u8::MAX {
        let mut sec1 = key.to_sec1();
        sec1[0] = prefix;
        let mut compressed = key.to_compressed();
        compressed[0] = prefix;

        assert_eq!(PublicKey::from_bytes(&sec1).is_ok(), prefix == 4, "{prefix:#x}");
        assert_eq!(PublicKey::from_bytes(&compressed).is_ok(), [2, 3].contains(&prefix));
    }
}

#[test]
fn a_coordinate_that_is_not_below_the_field_prime_is_refused() {
    // Points that are on the curve, and stay there when the prime is added to one coordinate.
    let small_x = (number(1), hex32(Y_OF_X_1));
    let small_y = (hex32(X_OF_Y_1), number(1));
    for (x, y) in [small_x, small_y] {
        assert!(PublicKey::from_bytes(&[x, y].concat()).is_ok());
    }

    let too_large_x = [add(small_x.0, hex32(FIELD_PRIME)), small_x.1].concat();
    let too_large_y = [small_y.0, add(small_y.1, hex32(FIELD_PRIME))].concat();
    for point in [too_large_x, too_large_y] {
        refused_in_every_form(&point);
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let key = secret(7).public_key().to_bytes();
    let mut wrong_y = key;
    wrong_y[63] ^= 1;
    let mut wrong_x = key;
    wrong_x[31] ^= 1;

    refused_in_every_form(&wrong_y);
    assert_eq!(PublicKey::from_bytes(&wrong_x), Err(KeyError::Point));
    refused_in_every_form(&[number(1), number(1)].concat());
    // x = 5 belongs to no point, so its compressed form is none either.
    assert_eq!(PublicKey::from_bytes(&[&[2][..], &number(5)].concat()), Err(KeyError::Point));
    assert_eq!(PublicKey::from_bytes(&[&[3][..], &number(5)].concat()), Err(KeyError::Point));
}

#[test]
fn infinity_and_all_ones_are_refused() {
    refused_in_every_form(&[0; 64]);
    refused_in_every_form(&[0xff; 64]);
    assert_eq!(PublicKey::from_bytes(&[0; 33]), Err(KeyError::Point));
    assert_eq!(PublicKey::from_bytes(&[0xff; 33]), Err(KeyError::Point));
    // SEC 1 writes infinity as a single zero byte.
    assert!(PublicKey::from_bytes(&[0]).is_err());
}

#[test]
fn a_secret_key_is_above_zero_and_below_the_group_order() {
    let order = hex32(GROUP_ORDER);

    assert!(SecretKey::from_bytes(&number(1)).is_ok());
    assert!(SecretKey::from_bytes(&subtract(order, number(1))).is_ok());
    for scalar in [number(0), order, add(order, number(1)), [0xff; 32]] {
        assert_eq!(SecretKey::from_bytes(&scalar).err(), Some(KeyError::Scalar));
    }
}

#[test]
fn a_secret_key_is_64_hex_digits() {
    let digits = "AB".repeat(32);
    let key = SecretKey::from_hex(&digits).unwrap();

    assert_eq!(key.to_bytes().as_slice(), [0xab; 32]);
    assert_eq!(SecretKey::from_hex(&format!("0x{digits}")).unwrap().node_id(), key.node_id());
    let length = |got| Some(KeyError::Length { got, want: "32" });
    assert_eq!(SecretKey::from_hex("").err(), length(0));
    assert_eq!(SecretKey::from_hex(&digits[2..]).err(), length(31));
    assert_eq!(SecretKey::from_hex(&format!("{digits}0")).err(), length(33));
    assert_eq!(SecretKey::from_hex(&digits.replace('B', "g")).err(), Some(KeyError::Digit));
    assert_eq!(SecretKey::from_hex(&digits.replacen("AB", "0x", 2)).err(), length(31));
    assert_eq!(SecretKey::from_hex(&"é".repeat(32)).err(), Some(KeyError::Digit));
    assert_eq!(SecretKey::from_hex(&"00".repeat(32)).err(), Some(KeyError::Scalar));
}

#[test]
fn a_secret_key_is_never_printed() {
    let key = secret(0x5e);

    let printed = format!("{key:?} {:#?}", Some(&key));

    assert!(!printed.contains("5e5e"), "{printed}");
    assert!(printed.contains(&key.node_id().short()), "{printed}");
}

#[test]
fn both_ends_compute_the_same_secret() {
    let (a, b) = (secret(1), secret(2));

    let shared = a.shared_secret(&b.public_key());

    assert_eq!(*shared, *b.shared_secret(&a.public_key()));
    assert_ne!(*shared, *a.shared_secret(&a.public_key()));
}

#[test]
fn the_shared_secret_is_the_x_coordinate_padded_to_32_bytes() {
    // The scalar 1 leaves a point as it is; this one has x = 1.
    let key = PublicKey::from_bytes(&[number(1), hex32(Y_OF_X_1)].concat()).unwrap();
    let one = SecretKey::from_bytes(&number(1)).unwrap();

    assert_eq!(*one.shared_secret(&key), number(1));
}

#[test]
fn signatures_have_low_s_and_name_their_signer() {
    for seed in 1..=16 {
        let key = secret(seed);
        let hash = keccak256([seed]);

        let signature = key.sign_recoverable(&hash);

        assert!(s_of(&signature) <= hex32(HALF_ORDER));
        assert!(signature[64] <= 3);
        assert_eq!(signature, key.sign_recoverable(&hash), "not deterministic");
        assert_eq!(PublicKey::recover(&hash, &signature), Ok(key.public_key()));
        assert_eq!(key.sign(&hash), signature[..64]);
        assert_eq!(key.public_key().verify(&hash, &key.sign(&hash)), Ok(()));
    }
}

#[test]
fn a_high_s_is_accepted_in_recovery_and_refused_in_verification() {
    for seed in 1..=16 {
        let key = secret(seed);
        let hash = keccak256([seed]);
        let mut signature = key.sign_recoverable(&hash);
        let high = subtract(hex32(GROUP_ORDER), s_of(&signature));
        signature[32..64].copy_from_slice(&high);
        signature[64] ^= 1;

        assert_eq!(PublicKey::recover(&hash, &signature), Ok(key.public_key()));
        let without_v = signature[..64].try_into().unwrap();
        assert!(key.public_key().verify(&hash, &without_v).is_err());
    }
}

#[test]
fn numbers_out_of_range_are_no_signature() {
    let key = secret(3);
    let hash = keccak256(b"hash");
    let good = key.sign_recoverable(&hash);
    let order = hex32(GROUP_ORDER);

    for bad in [number(0), order, add(order, number(1)), [0xff; 32]] {
        for half in [0..32, 32..64] {
            let mut signature = good;
            signature[half].copy_from_slice(&bad);
            let without_v = signature[..64].try_into().unwrap();

            assert_eq!(PublicKey::recover(&hash, &signature), Err(SignatureError::Malformed));
            assert_eq!(key.public_key().verify(&hash, &without_v), Err(SignatureError::Malformed));
        }
    }
    for v in 4..=u8::MAX {
        let mut signature = good;
        signature[64] = v;

        assert_eq!(PublicKey::recover(&hash, &signature), Err(SignatureError::Malformed), "{v}");
    }
}

#[test]
fn a_signature_that_no_key_made_recovers_none() {
    let hash = keccak256(b"hash");
    // v of 2 and 3 stand for x = r + n, which is below the prime for tiny r only.
    let mut signature = secret(3).sign_recoverable(&hash);
    signature[64] |= 2;
    assert_eq!(PublicKey::recover(&hash, &signature), Err(SignatureError::NoKey));
    // No point has x = 5.
    signature[..32].copy_from_slice(&number(5));
    signature[64] = 0;
    assert_eq!(PublicKey::recover(&hash, &signature), Err(SignatureError::NoKey));
}

#[test]
fn a_signature_of_something_else_does_not_verify() {
    let key = secret(3);
    let hash = keccak256(b"hash");
    let signature = key.sign(&hash);

    let other_hash = key.public_key().verify(&keccak256(b"other"), &signature);
    let other_key = secret(4).public_key().verify(&hash, &signature);

    assert_eq!(other_hash, Err(SignatureError::Mismatch));
    assert_eq!(other_key, Err(SignatureError::Mismatch));
}

#[track_caller]
fn refused_in_every_form(point: &[u8]) {
    let sec1 = [&[0x04], point].concat();

    assert_eq!(PublicKey::from_bytes(point), Err(KeyError::Point));
    assert_eq!(PublicKey::from_bytes(&sec1), Err(KeyError::Point));
    // Hybrid forms give both the point and the parity of y.
    for prefix in [0x06, 0x07] {
        let hybrid = [&[prefix], point].concat();
        assert_eq!(PublicKey::from_bytes(&hybrid), Err(KeyError::Point));
    }
    if point[..32] >= hex32(FIELD_PRIME)[..] {
        for prefix in [0x02, 0x03] {
            let compressed = [&[prefix], &point[..32]].concat();
            assert_eq!(PublicKey::from_bytes(&compressed), Err(KeyError::Point));
        }
    }
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn s_of(signature: &[u8; 65]) -> [u8; 32] {
    signature[32..64].try_into().unwrap()
}

fn hex32(digits: &str) -> [u8; 32] {
    const_hex::decode_to_array(digits).unwrap()
}

fn number(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = value;
    bytes
}

/// Big-endian `a + b`, which must fit.
fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut sum = a;
    let mut carry = false;
    for (digit, other) in sum.iter_mut().zip(b).rev() {
        let (partial, first) = digit.overflowing_add(other);
        let (total, second) = partial.overflowing_add(u8::from(carry));
        (*digit, carry) = (total, first || second);
    }
    assert!(!carry);
    sum
}

/// Big-endian `a - b`, which must not be negative.
fn subtract(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let complement = b.map(|byte| !byte);
    let mut difference = a;
    let mut carry = true;
    for (digit, other) in difference.iter_mut().zip(complement).rev() {
        let (partial, first) = digit.overflowing_add(other);
        let (total, second) = partial.overflowing_add(u8::from(carry));
        (*digit, carry) = (total, first || second);
    }
    assert!(carry);
    difference
}

/// The curve's field prime p. Source: SEC 2, 2.4.1.
const FIELD_PRIME: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
/// The order n of the group. Source: SEC 2, 2.4.1.
const GROUP_ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// (n - 1) / 2: the largest low s.
const HALF_ORDER: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
/// A y that belongs to x = 1.
const Y_OF_X_1: &str = "4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee";
/// An x that belongs to y = 1.
const X_OF_Y_1: &str = "1fe1e5ef3fceb5c135ab7741333ce5a6e80d68167653f6b2b24bcbcfaaaff507";
