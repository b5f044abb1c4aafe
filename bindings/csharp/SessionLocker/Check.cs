using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>Turns a status into an exception.</summary>
    internal static unsafe class Check
    {
        /// <summary>Throws what <paramref name="status"/> stands for, on behalf of <paramref name="of"/>.</summary>
        public static void Ok(int status, object of)
        {
            if (status != 0)
            {
                throw Failure(status, of);
            }
        }

        /// <summary>Throws for a null argument.</summary>
        public static void NotNull(object argument, string name)
        {
            if (argument == null)
            {
                throw new ArgumentNullException(name);
            }
        }

        /// <summary>Throws for a negative argument or setting: the library's numbers of its kind have no sign.</summary>
        public static ulong NotNegative(long value, string name)
        {
            if (value < 0)
            {
                throw new ArgumentOutOfRangeException(name, value, "it is negative");
            }
            return (ulong)value;
        }

        /// <summary>The same.</summary>
        public static uint NotNegative(int value, string name)
        {
            return (uint)NotNegative((long)value, name);
        }

        /// <summary>
        /// The exception for a status other than 0. To be asked at once, for the library keeps one message a
        /// thread.
        /// </summary>
        public static Exception Failure(int status, object of)
        {
            HookFailure.GoOnAborting();
            string message = LastError();
            var handle = of as NativeObject;
            if (status == (int)SessionLockerStatus.InvalidHandle && handle != null && handle.IsDisposed)
            {
                return new ObjectDisposedException(handle.TypeName);
            }
            return new SessionLockerException((SessionLockerStatus)status, message, HookFailure.TakeFor(message));
        }

        private static string LastError()
        {
            const int Capacity = 512;
            byte* small = stackalloc byte[Capacity];
            int length = (int)NativeMethods.session_locker_last_error(small, (UIntPtr)Capacity);
            if (length < Capacity)
            {
                return Utf8.Read(small, length);
            }
            var large = new byte[length + 1];
            fixed (byte* at = large)
            {
                NativeMethods.session_locker_last_error(at, (UIntPtr)large.Length);
                return Utf8.Read(at, length);
            }
        }
    }
}
