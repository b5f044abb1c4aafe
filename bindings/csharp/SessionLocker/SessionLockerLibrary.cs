using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>What concerns the library and the whole process.</summary>
    public static unsafe class SessionLockerLibrary
    {
        /// <summary>The native library's version, such as <c>0.1.0</c>.</summary>
        public static string Version
        {
            get { return Static(NativeMethods.session_locker_version()); }
        }

        /// <summary>
        /// The library's own clock, in seconds that never run backwards, time asleep included: what <c>Update()</c> without an
        /// argument goes by.
        /// </summary>
        public static double Now
        {
            get { return NativeMethods.session_locker_now(); }
        }

        /// <summary>
        /// How many handles of all kinds are alive in the whole process; for tests that look for leaks. What the garbage
        /// collector has found is freed first.
        /// </summary>
        public static long LiveHandles
        {
            get
            {
                ulong count;
                NativeHandle.FreeForgotten();
                Check.Ok(NativeMethods.session_locker_live_handles(&count), null);
                return (long)count;
            }
        }

        /// <summary>The name of a status in the C header, such as <c>SL_ERROR_BUSY</c>.</summary>
        public static string NameOf(SessionLockerStatus status)
        {
            return Static(NativeMethods.session_locker_status_name((int)status));
        }

        /// <summary>
        /// Sets where the messages of the whole process go; with null they go nowhere, as in the beginning. The library
        /// itself never prints. Runs inside whatever call has something to say, perhaps on several threads at a time; what
        /// it throws goes nowhere.
        /// </summary>
        public static void SetLog(Action<LogLevel, string> log)
        {
            LogHook.Set(log);
        }

        /// <summary>
        /// Logs one failure four times, as warnings, so that tools that count equal messages count it even where the error's
        /// details differ each time: that <paramref name="identifier"/> failed; the same with a traceback; that it failed with
        /// <paramref name="errorMessage"/>; the same with a traceback, which is the native one if it is null here.
        /// </summary>
        public static void LogErrorVariations(string identifier, string errorMessage, string traceback)
        {
            using (var texts = new Arena())
            {
                UIntPtr identifierLength;
                UIntPtr messageLength;
                UIntPtr tracebackLength;
                byte* identifierText = texts.Text(identifier, out identifierLength);
                byte* message = texts.Text(errorMessage, out messageLength);
                byte* trace = texts.Text(traceback, out tracebackLength);
                Check.Ok(
                    NativeMethods.session_locker_log_error_variations(
                        identifierText, identifierLength, message, messageLength, trace, tracebackLength),
                    null);
            }
        }

        /// <summary>
        /// Makes what log lines begin with, such as <c>[SessionLocker][Ann]:[1001 / 2002]</c>: the library's name if
        /// <paramref name="showModule"/>, the player's name and id, and <paramref name="dataStoreUserId"/> where the save data of
        /// another user is used. The last two may be null.
        /// </summary>
        public static string CreateLogPrefix(bool showModule, string userId, string dataStoreUserId = null, string name = null)
        {
            using (var texts = new Arena())
            {
                SlBuffer prefix;
                UIntPtr userLength;
                UIntPtr dataStoreLength;
                UIntPtr nameLength;
                byte* user = texts.Needed(userId, "userId", out userLength);
                byte* dataStoreUser = texts.Text(dataStoreUserId, out dataStoreLength);
                byte* nameText = texts.Text(name, out nameLength);
                Check.Ok(
                    NativeMethods.session_locker_log_prefix_create(
                        showModule ? 1 : 0, user, userLength, dataStoreUser, dataStoreLength, nameText, nameLength, &prefix),
                    null);
                return Utf8.Take(ref prefix);
            }
        }

        /// <summary>
        /// Whose fault a failed request is, by the number and colon that begin the messages of the original's platform. For a
        /// <see cref="HostStorage"/> whose messages are of that kind.
        /// </summary>
        public static RequestErrorKind GetRequestErrorKind(string message)
        {
            using (var texts = new Arena())
            {
                int kind;
                UIntPtr length;
                byte* text = texts.Needed(message, "message", out length);
                Check.Ok(NativeMethods.session_locker_request_error_kind(text, length, &kind), null);
                return (RequestErrorKind)kind;
            }
        }

        /// <summary>
        /// Sets the default of the whole process for one setting, for stores and specs made from then on that leave it null.
        /// Times in seconds, switches 0 or 1.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.OutOfRange"/>.</exception>
        public static void SetDefault(ConfigValue setting, double value)
        {
            Check.Ok(NativeMethods.session_locker_set_default((int)setting, value), null);
        }

        /// <summary>The default of the whole process for one setting.</summary>
        public static double GetDefault(ConfigValue setting)
        {
            double value;
            Check.Ok(NativeMethods.session_locker_get_default((int)setting, &value), null);
            return value;
        }

        /// <summary>
        /// Sets who is told, in the whole process, of errors of which no host has asked to hear. With null, as in the
        /// beginning, they are logged: in full with verbose logs; otherwise without user ids and key, and not at all where the
        /// backend is to blame, which passes by itself.
        /// </summary>
        public static void SetDefaultReportError(Reporter reporter, Action<ErrorReport> reportError)
        {
            Check.Ok(DefaultReportHook.Set(reporter, reportError), null);
            Unheard.SetReporter(reporter, reportError);
        }

        private static string Static(byte* text)
        {
            int length = 0;
            while (text[length] != 0)
            {
                length++;
            }
            return Utf8.Read(text, length);
        }
    }
}
