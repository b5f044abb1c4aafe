using System;

namespace SessionLocker
{
    /// <summary>What a call came to, as <c>SlStatus</c> of the C header.</summary>
    public enum SessionLockerStatus
    {
        /// <summary>The call did what it says.</summary>
        Ok = 0,
        /// <summary>The object is gone, or is none of the library's.</summary>
        InvalidHandle = -1,
        /// <summary>A parameter is not allowed. The message names it.</summary>
        InvalidArgument = -2,
        /// <summary>A text is not UTF-8.</summary>
        InvalidUtf8 = -3,
        /// <summary>A text is not JSON, or not the JSON that is needed here. The message says what and where.</summary>
        InvalidJson = -4,
        /// <summary>A text is not a JSON Pointer (RFC 6901).</summary>
        InvalidPointer = -5,
        /// <summary>What was asked for is not there: no value at the JSON Pointer, no lost save data.</summary>
        NotFound = -6,
        /// <summary>The value is there but of another type.</summary>
        WrongType = -7,
        /// <summary>A number is outside what the call, or the value's type, can take.</summary>
        OutOfRange = -8,
        /// <summary>The write concerns a field that the library keeps for itself.</summary>
        ReservedField = -9,
        /// <summary>The save data would be larger than its limit, or nested deeper than 128 levels.</summary>
        TooLarge = -10,
        /// <summary>An operation of a JSON patch failed, so none of it was done.</summary>
        PatchFailed = -11,
        /// <summary>
        /// The object is in use: by a hook that owns it for the moment, or by an update, drain or wait that has
        /// not returned. Nothing was done.
        /// </summary>
        Busy = -12,
        /// <summary>The time given for a blocking call ran out. What it waited for may still happen.</summary>
        Timeout = -13,
        /// <summary>A bug in the native library was caught. The object that was in use is poisoned.</summary>
        Panic = -14,
        /// <summary>The session is not active.</summary>
        NotActive = -15,
        /// <summary>The save data is not loaded.</summary>
        NotLoaded = -16,
        /// <summary>The store is closed, or closing, and takes nothing new.</summary>
        Closed = -17,
        /// <summary>
        /// A storage could not be opened, or a request to it failed. A commit or erasure that failed may have
        /// been written, or may still be.
        /// </summary>
        Storage = -18,
        /// <summary>The key is not at the expected revision. Nothing was written.</summary>
        Conflict = -19,
        /// <summary>The save data cannot be brought to the version asked for.</summary>
        Migration = -20,
        /// <summary>A documented limit is reached.</summary>
        Limit = -21,
        /// <summary>This build of the library, or this object, cannot do that.</summary>
        Unsupported = -22,
        /// <summary>A hook of the host's failed.</summary>
        Hook = -23,
        /// <summary>What a hook was asked to apply cannot be applied, and that is no failure.</summary>
        NotApplicable = -24,
    }

    /// <summary>
    /// A call to the library was refused or has failed. <see cref="Exception.Message"/> is the library's, and
    /// says which key, version or byte it is about. Where a hook has thrown, its exception is the
    /// <see cref="Exception.InnerException"/>.
    /// </summary>
    public sealed class SessionLockerException : Exception
    {
        /// <summary>Makes an exception with a status and a message, and the one of a hook behind it, or null.</summary>
        public SessionLockerException(SessionLockerStatus status, string message, Exception innerException = null)
            : base(message, innerException)
        {
            Status = status;
        }

        /// <summary>What the call came to.</summary>
        public SessionLockerStatus Status { get; private set; }
    }
}
