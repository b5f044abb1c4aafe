//! What a host passes beside handles: texts, places for results, structs, numbers. All of it keeps the one
//! promise that the library cannot check: a pointer is NULL, or points to what the header says.

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, size_of};

use session_locker::ffi::*;

use super::script::Frame;
use super::world::world;

/// Keys: a few, so that they meet.
pub const KEYS: [&str; 4] = ["a", "b", "c", "player/1"];

/// Ids of users and receipts.
pub const IDS: [&str; 4] = ["1", "2", "p1", "an id"];

/// Places in documents.
pub const POINTERS: [&str; 13] = [
    "/Gold",
    "/L/-",
    "/L/0",
    "/O/x",
    "/O/b",
    "",
    "/L",
    "/O",
    "/Version",
    "/Session/LockId",
    "/no/where",
    "/L/01",
    "/~2",
];

/// Documents and values, the most useful first.
pub const JSON: [&str; 12] = [
    r#"{"Gold":5,"L":[1,2],"O":{"x":1.5,"b":true}}"#,
    "7",
    "[1,2]",
    "{}",
    r#""text""#,
    "true",
    "null",
    r#"{"Gold":1,"Gold":2}"#,
    "1e999",
    r#"{"Version":9}"#,
    "{",
    r#"[{"K":"gold","amount":3}]"#,
];

/// Patches of both kinds, and what is none.
pub const PATCHES: [&str; 8] = [
    r#"{"Gold":null,"O":{"y":[]}}"#,
    r#"[{"op":"add","path":"/L/-","value":3},{"op":"test","path":"/Gold","value":5}]"#,
    r#"[{"op":"add","path":"/New","value":{}},{"op":"move","from":"/New","path":"/Newer"}]"#,
    r#"{"Gold":5,"L":[1,2]}"#,
    r#"[{"op":"copy","from":"/L","path":"/M"},{"op":"remove","path":"/no"}]"#,
    r#"[{"op":"replace","path":"","value":{"Gold":1}}]"#,
    r#"{"Version":9}"#,
    "[5]",
];

/// Records: documents of all kinds, and what is none.
pub const RECORDS: [&str; 10] = [
    r#"{"Version":1,"VersionPatch":0,"Purchases":[],"ProductCredit":[],"Gold":5,"L":[1]}"#,
    r#"{"Gold":1}"#,
    r#"{"Version":1,"Gold":2,"RemoteChanges":[{"K":"gold","I":1,"A":2},{"K":"odd","I":"x","A":3}]}"#,
    r#"{"Version":1,"Session":{"PlaceId":1,"JobId":"elsewhere","LockId":77,"UpdatedAt":1800000000,"Expiry":1800},"Saves":[[77,3]],"Gold":3}"#,
    r#"{"Version":1,"Session":{"PlaceId":1,"JobId":"long ago","LockId":78,"UpdatedAt":1},"Gold":4}"#,
    r#"{"Version":1,"Purchases":[[5,"p1",2,"b"],[6,"p2",3,1]],"ProductCredit":[[5,2]],"Gifts":[["p1",2,5,"a"]]}"#,
    r#"{"Version":7}"#,
    "no document",
    "",
    "[1]",
];

/// Moments, waits and settings.
pub const NUMBERS: [f64; 16] = [
    0.0,
    1.0,
    10.0,
    0.1,
    30.0,
    300.0,
    2000.0,
    100_000.0,
    -1.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e15,
    1e300,
    5e-324,
    0.5,
];

/// A seconds, an amount or a setting: mostly one of a table.
pub fn number(frame: &mut Frame) -> f64 {
    match frame.byte() {
        byte @ 0..=239 => NUMBERS[usize::from(byte) % NUMBERS.len()],
        _ => frame.draw(),
    }
}

/// An integer: mostly a small one, or one at an end.
pub fn integer(frame: &mut Frame) -> i64 {
    match frame.byte() {
        byte @ 0..=199 => i64::from(byte % 8),
        byte @ 200..=239 => [-1, i64::MAX, i64::MIN, 1 << 53][usize::from(byte) % 4],
        _ => frame.draw(),
    }
}

/// A text, its pointer and its length, right or wrong.
pub struct Text {
    bytes: Vec<u8>,
    form: Form,
}

/// How a text is passed.
#[derive(Clone, Copy)]
enum Form {
    Length,
    NulTerminated,
    /// NULL, with this length.
    Null(usize),
    /// A length that cannot be.
    Impossible(usize),
}

impl Text {
    /// Mostly one of a table.
    pub fn draw(frame: &mut Frame, table: &[&str]) -> Self {
        let byte = frame.byte();
        let plain = table[usize::from(byte) % table.len()].as_bytes().to_vec();
        match byte {
            0..=111 => Self::new(plain, Form::Length),
            112..=207 => Self::new(plain, Form::NulTerminated),
            208..=211 => Self::new(Vec::new(), Form::Length),
            212..=215 => Self::new(Vec::new(), Form::Null(0)),
            216..=219 => Self::new(Vec::new(), Form::Null(usize::from(byte))),
            220..=223 => Self::new(Vec::new(), Form::Null(SL_NUL_TERMINATED)),
            224..=227 => Self::new(plain, Form::Impossible(isize::MAX as usize + 1)),
            228..=231 => Self::new(plain, Form::Impossible(SL_NUL_TERMINATED - 1)),
            232..=235 => Self::new([&plain[..], b"\xff"].concat(), Form::Length),
            236..=239 => Self::new(vec![b'k'; 129 + 400 * usize::from(byte % 4)], Form::Length),
            240..=247 => Self::new(frame.raw().to_vec(), Form::Length),
            _ => Self::new(frame.raw().to_vec(), Form::NulTerminated),
        }
    }

    /// As [`Text::draw`], or NULL in a way that stands for none.
    pub fn maybe(frame: &mut Frame, table: &[&str]) -> Self {
        match frame.below(3) {
            0 => Self::new(Vec::new(), Form::Null(0)),
            1 => Self::new(Vec::new(), Form::Null(SL_NUL_TERMINATED)),
            _ => Self::draw(frame, table),
        }
    }

    /// NULL, with a length of 0.
    pub fn none() -> Self {
        Self::new(Vec::new(), Form::Null(0))
    }

    fn new(mut bytes: Vec<u8>, form: Form) -> Self {
        bytes.push(0);
        Self { bytes, form }
    }

    pub fn data(&self) -> *const c_char {
        match self.form {
            Form::Null(_) => std::ptr::null(),
            _ => self.bytes.as_ptr().cast(),
        }
    }

    pub fn bytes(&self) -> *const c_void {
        self.data().cast()
    }

    pub fn length(&self) -> usize {
        match self.form {
            Form::Length => self.bytes.len() - 1,
            Form::NulTerminated => SL_NUL_TERMINATED,
            Form::Null(length) | Form::Impossible(length) => length,
        }
    }

    /// Where plain bytes are asked for, which have no NUL to end them.
    pub fn byte_length(&self) -> usize {
        match self.form {
            Form::NulTerminated => self.bytes.len() - 1,
            _ => self.length(),
        }
    }

    pub fn lent(&self) -> SlText {
        SlText {
            data: self.data(),
            length: self.length(),
        }
    }
}

/// A list of texts.
pub struct Texts {
    _texts: Vec<Text>,
    lent: Vec<SlText>,
    count: usize,
}

impl Texts {
    pub fn draw(frame: &mut Frame, table: &[&str]) -> Self {
        let count = frame.one_of(&[0, 1, 2, 0, 3]);
        let texts: Vec<Text> = (0..count).map(|_| Text::draw(frame, table)).collect();
        let lent: Vec<SlText> = texts.iter().map(Text::lent).collect();
        // One more than there may be is refused unread.
        let count = if frame.seldom(32) { usize::MAX } else { count };
        Self {
            _texts: texts,
            lent,
            count,
        }
    }

    pub fn data(&self) -> *const SlText {
        match self.lent.is_empty() {
            true => std::ptr::null(),
            false => self.lent.as_ptr(),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

/// A place for a result that is not aligned, or none. What is there before stays unless the call succeeds.
pub struct Out<T> {
    bytes: Vec<u8>,
    is_null: bool,
    kind: std::marker::PhantomData<T>,
}

const UNWRITTEN: u8 = 0xa5;

impl<T: Copy> Out<T> {
    /// A place that is needed; seldom NULL.
    pub fn draw(frame: &mut Frame) -> Self {
        Self::new(frame.seldom(48))
    }

    /// A place that need not be there.
    pub fn maybe(frame: &mut Frame) -> Self {
        Self::new(frame.seldom(3))
    }

    pub fn new(is_null: bool) -> Self {
        Self {
            bytes: vec![UNWRITTEN; size_of::<T>() + 1],
            is_null,
            kind: std::marker::PhantomData,
        }
    }

    pub fn place(&mut self) -> *mut T {
        match self.is_null {
            true => std::ptr::null_mut(),
            false => self.bytes[1..].as_mut_ptr().cast(),
        }
    }

    /// What has been written, if the call has succeeded; nothing has if not.
    pub fn value(&self, status: SlStatus) -> Option<T> {
        assert_eq!(self.bytes[0], UNWRITTEN, "written before the place");
        if status != SL_OK {
            let is_untouched = self.bytes.iter().all(|byte| *byte == UNWRITTEN);
            assert!(is_untouched, "a result beside the status {status}");
            return None;
        }
        let value = self.bytes[1..].as_ptr().cast::<T>();
        // SAFETY: the call has succeeded, so the library has written a `T` there.
        (!self.is_null).then(|| unsafe { value.read_unaligned() })
    }
}

impl Out<Buffer> {
    /// The text that was given, which is freed.
    pub fn text(&self, status: SlStatus) -> Option<Vec<u8>> {
        self.value(status).map(taken)
    }
}

/// An `SlBuffer`, which cannot be copied.
pub type Buffer = [usize; 3];

/// The bytes of a buffer, which is freed, twice.
pub fn taken(buffer: Buffer) -> Vec<u8> {
    let mut buffer = SlBuffer {
        data: std::ptr::with_exposed_provenance_mut(buffer[0]),
        length: buffer[1],
        capacity: buffer[2],
    };
    // SAFETY: the library has filled the buffer: so many bytes, and a NUL behind them.
    let (bytes, nul) = unsafe {
        let bytes = std::slice::from_raw_parts(buffer.data.cast::<u8>(), buffer.length);
        (bytes.to_vec(), *buffer.data.add(buffer.length))
    };
    assert_eq!(nul, 0);
    for _ in 0..2 {
        // SAFETY: as the library has filled it, and then as it has zeroed it.
        unsafe { session_locker_buffer_free(&raw mut buffer) };
        assert!(buffer.data.is_null() && buffer.length == 0);
    }
    bytes
}

/// What is lent.
pub fn lent(text: SlText) -> Vec<u8> {
    lent_bytes(text.data, text.length)
}

/// What is lent, by its pointer and length.
pub fn lent_bytes(data: *const c_char, length: usize) -> Vec<u8> {
    if data.is_null() {
        assert_eq!(length, 0);
        return Vec::new();
    }
    // SAFETY: the library lends so many bytes.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec()
}

/// What is lent as a text.
pub fn lent_text(text: SlText) -> String {
    String::from_utf8(lent(text)).expect("the library lends UTF-8")
}

/// A struct with its size, with room behind it for any size that the library believes.
pub struct Struct<T> {
    room: Box<[u64; 520]>,
    is_null: bool,
    /// Whether its size is that of no version.
    is_none: bool,
    kind: std::marker::PhantomData<T>,
}

impl<T: Copy> Struct<T> {
    /// As the init function of the type fills it.
    pub fn new(init: unsafe extern "C" fn(*mut T, usize) -> SlStatus) -> Self {
        let mut new = MaybeUninit::<T>::uninit();
        // SAFETY: the place is of the size that is told.
        let status = unsafe { init(new.as_mut_ptr(), size_of::<T>()) };
        assert_eq!(status, SL_OK);
        // SAFETY: it was filled.
        Self::of(unsafe { new.assume_init() })
    }

    pub fn of(value: T) -> Self {
        let mut made = Self {
            room: Box::new([0; 520]),
            is_null: false,
            is_none: false,
            kind: std::marker::PhantomData,
        };
        *made.get() = value;
        made
    }

    pub fn get(&mut self) -> &mut T {
        // SAFETY: the room is aligned for every struct of the ABI, larger than any, and holds one.
        unsafe { &mut *self.room.as_mut_ptr().cast() }
    }

    /// Seldom NULL, or as [`Struct::spoil_size`] makes it.
    pub fn spoil(&mut self, frame: &mut Frame) {
        self.is_null = frame.seldom(64);
        self.spoil_size(frame);
    }

    /// Seldom of a size that is none, or of a newer version.
    pub fn spoil_size(&mut self, frame: &mut Frame) {
        let size = size_of::<T>() as u32;
        let behind = size as usize / 8;
        let told = match frame.byte() {
            0..=223 => size,
            224..=227 => size + 8,
            228..=231 => {
                self.room[behind] = 1;
                size + 8
            }
            232..=235 => 4096,
            236..=239 => 4104,
            240..=243 => size - 8,
            244..=247 => size + 1,
            248..=251 => 0,
            _ => u32::MAX,
        };
        self.is_none = matches!(told, 4104 | 0 | u32::MAX) || told == size + 1;
        self.room[0] = self.room[0] & !0xffff_ffff | u64::from(told);
    }

    /// For a call that has [`Begun`], and must refuse what is none.
    pub fn place(&mut self) -> *mut T {
        if self.is_none && !self.is_null {
            world(|world| {
                let running = world.running.last_mut().expect("a call that has begun");
                running.has_no_struct = true;
            });
        }
        self.nested()
    }

    /// For another struct, which points to it.
    pub fn nested(&mut self) -> *mut T {
        match self.is_null {
            true => std::ptr::null_mut(),
            false => self.room.as_mut_ptr().cast(),
        }
    }
}
