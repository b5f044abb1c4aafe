using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// A player's save data: one JSON object, read and written in place by JSON Pointer (RFC 6901) such as
    /// <c>/Inventory/3/Id</c>; the empty pointer is the whole document.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The reserved fields (<c>Version</c>, <c>VersionPatch</c>, <c>Session</c>, <c>Purchases</c>,
    /// <c>ProductCredit</c>, <c>RemoteChanges</c>, <c>Saves</c>, <c>Received</c>, <c>Gifts</c>) can be read and
    /// not changed. A write is done whole or not at all and counts as one change. In an array, the index that
    /// is its length, and <c>-</c>, append. A place is created only inside a parent that is there.
    /// </para>
    /// <para>
    /// Save data of a profile or locker lasts as long as that does and needs no disposing; that of a hook, as
    /// long as the hook. Only what <see cref="Create"/> and <see cref="Parse"/> give is the host's.
    /// </para>
    /// <para>
    /// Any thread may call. While a hook owns the document, other threads read it as it was before, and their
    /// writes are refused (<see cref="SessionLockerStatus.Busy"/>).
    /// </para>
    /// <para>
    /// Every call may throw a <see cref="SessionLockerException"/> with <see cref="SessionLockerStatus.InvalidHandle"/>
    /// (what it belongs to is gone), <see cref="SessionLockerStatus.InvalidPointer"/> and
    /// <see cref="SessionLockerStatus.InvalidJson"/> (the value lies in a field with a number that cannot be
    /// represented); every write besides with <see cref="SessionLockerStatus.Busy"/>,
    /// <see cref="SessionLockerStatus.NotActive"/> (the session is over), <see cref="SessionLockerStatus.ReservedField"/>,
    /// <see cref="SessionLockerStatus.NotFound"/> (the parent), <see cref="SessionLockerStatus.WrongType"/> and
    /// <see cref="SessionLockerStatus.TooLarge"/>.
    /// </para>
    /// </remarks>
    public sealed unsafe class SaveData : IDisposable
    {
        private readonly SlSaveData* native;

        // What it goes with, and so kept alive by it: a profile or locker, or its own handle. Null for that of a hook.
        private readonly NativeObject owner;

        // Of a hook.
        internal SaveData(SlSaveData* native)
        {
            this.native = native;
        }

        internal SaveData(SlSaveData* native, Session owner)
        {
            this.native = native;
            this.owner = owner;
        }

        private SaveData(OwnedSaveData own)
        {
            owner = own;
            native = (SlSaveData*)own.Name;
        }

        internal SlSaveData* Native
        {
            get { return native; }
        }

        /// <summary>
        /// Makes save data of the host's own from a JSON object. Reserved names in it are ignored.
        /// </summary>
        public static SaveData Create(string json)
        {
            using (var texts = new Arena())
            {
                SlSaveData* made;
                UIntPtr length;
                byte* text = texts.Needed(json, "json", out length);
                Check.Ok(NativeMethods.save_data_create(text, length, &made), null);
                return new SaveData(new OwnedSaveData(made));
            }
        }

        /// <summary>
        /// Makes save data of the host's own from a stored document, reserved fields included, such as
        /// <see cref="StorageRecord.Json"/>.
        /// </summary>
        public static SaveData Parse(string json)
        {
            using (var texts = new Arena())
            {
                SlSaveData* made;
                UIntPtr length;
                byte* text = texts.Needed(json, "json", out length);
                Check.Ok(NativeMethods.save_data_parse(text, length, &made), null);
                return new SaveData(new OwnedSaveData(made));
            }
        }

        /// <summary>Frees save data of the host's own; on any other it does nothing.</summary>
        public void Dispose()
        {
            if (owner is OwnedSaveData)
            {
                owner.Dispose();
            }
        }

        /// <summary>The integer at a pointer; a float without a fraction counts as one.</summary>
        /// <exception cref="SessionLockerException">Not found, of another type, or out of range.</exception>
        public long GetInt64(string pointer)
        {
            long value;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            int status = NativeMethods.save_data_get_i64(native, at, length, &value);
            if (status != 0)
            {
                throw Check.Failure(status, owner);
            }
            return value;
        }

        /// <summary>The number at a pointer, an integer too; one beyond 2^53 is rounded.</summary>
        /// <exception cref="SessionLockerException">Not found, or of another type.</exception>
        public double GetDouble(string pointer)
        {
            double value;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            int status = NativeMethods.save_data_get_f64(native, at, length, &value);
            if (status != 0)
            {
                throw Check.Failure(status, owner);
            }
            return value;
        }

        /// <summary>The bool at a pointer.</summary>
        /// <exception cref="SessionLockerException">Not found, or of another type.</exception>
        public bool GetBoolean(string pointer)
        {
            int value;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_get_bool(native, at, length, &value), owner);
            return value != 0;
        }

        /// <summary>The string at a pointer, without quotes and escapes; it may hold NUL characters.</summary>
        /// <exception cref="SessionLockerException">Not found, or of another type.</exception>
        public string GetString(string pointer)
        {
            SlBuffer value;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_get_string(native, at, length, &value), owner);
            return Utf8.Take(ref value);
        }

        /// <summary>The value at a pointer as JSON text.</summary>
        /// <exception cref="SessionLockerException">Not found.</exception>
        public string GetJson(string pointer)
        {
            SlBuffer json;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_get_json(native, at, length, &json), owner);
            return Utf8.Take(ref json);
        }

        /// <summary>The value at a pointer, of whatever type, in one call.</summary>
        /// <exception cref="SessionLockerException">Not found.</exception>
        public SaveDataValue GetValue(string pointer)
        {
            SlValue value;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_get_value(native, at, length, &value), owner);
            return new SaveDataValue(ref value);
        }

        /// <summary>The same, or false if there is nothing at the pointer.</summary>
        public bool TryGetValue(string pointer, out SaveDataValue value)
        {
            SlValue found;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            int status = NativeMethods.save_data_get_value(native, at, length, &found);
            if (status == (int)SessionLockerStatus.NotFound)
            {
                value = default(SaveDataValue);
                return false;
            }
            Check.Ok(status, owner);
            value = new SaveDataValue(ref found);
            return true;
        }

        /// <summary>The names of an object's members, in their order.</summary>
        /// <exception cref="SessionLockerException">Not found, or no object.</exception>
        public string[] GetNames(string pointer)
        {
            SlBuffer names;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_get_names(native, at, length, &names), owner);
            return JsonStrings.Parse(Utf8.Take(ref names));
        }

        /// <summary>Whether there is anything at a pointer, a null too.</summary>
        public bool Contains(string pointer)
        {
            int isThere;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_contains(native, at, length, &isThere), owner);
            return isThere != 0;
        }

        /// <summary>The type of the value at a pointer.</summary>
        /// <exception cref="SessionLockerException">Not found.</exception>
        public SaveDataType GetValueType(string pointer)
        {
            int type;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_type(native, at, length, &type), owner);
            return (SaveDataType)type;
        }

        /// <summary>
        /// How many elements the array, members the object, or bytes of UTF-8 the string at a pointer has.
        /// </summary>
        /// <exception cref="SessionLockerException">Not found, or of another type.</exception>
        public int GetLength(string pointer)
        {
            UIntPtr size;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_length(native, at, length, &size), owner);
            return checked((int)size);
        }

        /// <summary>Sets the value at a pointer to an integer.</summary>
        public void Set(string pointer, long value)
        {
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            int status = NativeMethods.save_data_set_i64(native, at, length, value);
            if (status != 0)
            {
                throw Check.Failure(status, owner);
            }
        }

        /// <summary>The same; without it, a <c>ulong</c> would become a float.</summary>
        /// <exception cref="OverflowException">It does not fit a signed integer of 64 bits.</exception>
        public void Set(string pointer, ulong value)
        {
            Set(pointer, checked((long)value));
        }

        /// <summary>Sets the value at a pointer to a float, which stays a float also without a fraction.</summary>
        /// <exception cref="SessionLockerException">Out of range: NaN and the infinities are no JSON.</exception>
        public void Set(string pointer, double value)
        {
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_set_f64(native, at, length, value), owner);
        }

        /// <summary>Sets the value at a pointer to <c>true</c> or <c>false</c>.</summary>
        public void Set(string pointer, bool value)
        {
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_set_bool(native, at, length, value ? 1 : 0), owner);
        }

        /// <summary>Sets the value at a pointer to a string. For null there is <see cref="SetNull"/>.</summary>
        public void Set(string pointer, string value)
        {
            UIntPtr length;
            UIntPtr valueLength;
            byte* at = Scratch.First(pointer, out length);
            byte* text = Scratch.Second(value, out valueLength);
            Check.Ok(NativeMethods.save_data_set_string(native, at, length, text, valueLength), owner);
        }

        /// <summary>Sets the value at a pointer to <c>null</c>.</summary>
        public void SetNull(string pointer)
        {
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_set_null(native, at, length), owner);
        }

        /// <summary>
        /// Sets the value at a pointer to JSON text. With the empty pointer it must be an object, whose members
        /// replace all of the player's fields; reserved names in it are ignored, and the reserved fields stay.
        /// </summary>
        /// <exception cref="SessionLockerException">Not JSON; the message has the offset.</exception>
        public void SetJson(string pointer, string json)
        {
            UIntPtr length;
            UIntPtr jsonLength;
            byte* at = Scratch.First(pointer, out length);
            byte* text = Scratch.Second(json, out jsonLength);
            Check.Ok(NativeMethods.save_data_set_json(native, at, length, text, jsonLength), owner);
        }

        /// <summary>Adds to the integer at a pointer, which must be there, and gives the sum.</summary>
        /// <exception cref="SessionLockerException">Not found, no integer, or the sum does not fit 64 bits.</exception>
        public long Add(string pointer, long delta)
        {
            long sum;
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            int status = NativeMethods.save_data_add_i64(native, at, length, delta, &sum);
            if (status != 0)
            {
                throw Check.Failure(status, owner);
            }
            return sum;
        }

        /// <summary>
        /// Appends JSON text to the array at a pointer. A plain value is appended by setting it at the pointer
        /// that ends in <c>/-</c>.
        /// </summary>
        /// <exception cref="SessionLockerException">Not found, no array, or not JSON.</exception>
        public void AppendJson(string pointer, string json)
        {
            UIntPtr length;
            UIntPtr jsonLength;
            byte* at = Scratch.First(pointer, out length);
            byte* text = Scratch.Second(json, out jsonLength);
            Check.Ok(NativeMethods.save_data_append(native, at, length, text, jsonLength), owner);
        }

        /// <summary>Removes the value at a pointer; an array's later elements move down.</summary>
        /// <exception cref="SessionLockerException">Not found; or it is the whole document.</exception>
        public void Remove(string pointer)
        {
            UIntPtr length;
            byte* at = Scratch.First(pointer, out length);
            Check.Ok(NativeMethods.save_data_remove(native, at, length), owner);
        }

        /// <summary>
        /// Applies a JSON Merge Patch (RFC 7396): an object whose members replace the document's, null removing one.
        /// </summary>
        public void MergePatch(string json)
        {
            UIntPtr length;
            byte* text = Scratch.First(json, out length);
            Check.Ok(NativeMethods.save_data_merge_patch(native, text, length), owner);
        }

        /// <summary>Applies a JSON Patch (RFC 6902): an array of operations, all of them or none.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.PatchFailed"/>: the message has the operation's number, from 0.
        /// </exception>
        public void ApplyPatch(string json)
        {
            UIntPtr length;
            byte* text = Scratch.First(json, out length);
            Check.Ok(NativeMethods.save_data_apply_patch(native, text, length), owner);
        }

        /// <summary>
        /// Keeps the player's fields as they are now. Cheap, for unchanged fields are shared. To be disposed.
        /// </summary>
        public SaveDataBackup Backup()
        {
            SlSaveDataBackup* backup;
            Check.Ok(NativeMethods.save_data_backup(native, &backup), owner);
            return new SaveDataBackup(backup);
        }

        /// <summary>
        /// Puts the player's fields back as they were at a backup, perhaps of another save data. Reserved fields
        /// stay. Counts as one change.
        /// </summary>
        public void Restore(SaveDataBackup backup)
        {
            if (backup == null)
            {
                throw new ArgumentNullException("backup");
            }
            int status = NativeMethods.save_data_restore(native, (SlSaveDataBackup*)backup.Name);
            Check.Ok(status, backup.IsDisposed ? backup : (object)owner);
        }

        private sealed class OwnedSaveData : NativeObject
        {
            private static readonly Func<IntPtr, int> Destroy =
                data => NativeMethods.save_data_destroy((SlSaveData*)data);

            public OwnedSaveData(SlSaveData* native)
                : base(native, Destroy)
            {
            }

            internal override string TypeName
            {
                get { return typeof(SaveData).Name; }
            }
        }
    }
}
