using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Something failed, and the library goes on by itself: there is nothing to do but to note it.
    /// </summary>
    public sealed unsafe class ErrorReport : EventArgs
    {
        internal ErrorReport(SlErrorReport* report)
        {
            Activity = (Activity)report->activity;
            ErrorKind = (RequestErrorKind)report->error_kind;
            IsVerbose = report->verbose_logs != 0;
            LogPrefix = Utf8.Read(report->log_prefix);
            Key = Utf8.Read(report->key);
            Message = Utf8.Read(report->message);
            FilteredMessage = Utf8.Read(report->filtered_message);
            UserIds = Utf8.Read(report->user_ids, report->user_id_count);
            Exception = HookFailure.TakeFor(Message);
        }

        /// <summary>What was being done.</summary>
        public Activity Activity { get; private set; }

        /// <summary>Whose fault it is, and whether trying again helps.</summary>
        public RequestErrorKind ErrorKind { get; private set; }

        /// <summary>Whether the configuration asks for verbose logs.</summary>
        public bool IsVerbose { get; private set; }

        /// <summary>What the log lines of the session or sender begin with.</summary>
        public string LogPrefix { get; private set; }

        /// <summary>The key that was being worked on.</summary>
        public string Key { get; private set; }

        /// <summary>What happened, in full; of a hook that has thrown, the exception's message is its end.</summary>
        public string Message { get; private set; }

        /// <summary>
        /// The same with <c>{userid}</c> and <c>{datastorekey}</c> in place of the user ids and the key, so that
        /// tools can count equal messages, and no player is named.
        /// </summary>
        public string FilteredMessage { get; private set; }

        /// <summary>The users that the record belongs to.</summary>
        public string[] UserIds { get; private set; }

        /// <summary>What a hook has thrown, with its stack; null if this is about no hook.</summary>
        public Exception Exception { get; private set; }

        /// <summary>
        /// The product, if it is about a purchase; else 0. Known to the <c>Error</c> events, not yet to
        /// <see cref="SessionConfig.ReportError"/>.
        /// </summary>
        public long ProductId { get; internal set; }
    }

    /// <summary>Errors of which no host has asked to hear: where they go.</summary>
    internal static class Unheard
    {
        private static readonly Action<ErrorReport>[] Reporters = new Action<ErrorReport>[2];

        public static void SetReporter(Reporter reporter, Action<ErrorReport> report)
        {
            Reporters[(int)reporter - 1] = report;
        }

        /// <summary>To the reporter of the whole process, or else to the log, as the library itself does it.</summary>
        public static void Report(ErrorReport report)
        {
            bool isSend = report.Activity == Activity.Send;
            Action<ErrorReport> reporter = Reporters[(int)(isSend ? Reporter.Senders : Reporter.Lockers) - 1];
            if (reporter != null)
            {
                reporter(report);
            }
            else if (report.IsVerbose)
            {
                LogHook.Write(Level(report), report.LogPrefix + " " + report.Activity + " failed: " + report.Message);
            }
            else if (report.ErrorKind != RequestErrorKind.Backend)
            {
                LogHook.Write(Level(report), "[SessionLocker] " + report.Activity + " failed: " + report.FilteredMessage);
            }
        }

        private static LogLevel Level(ErrorReport report)
        {
            switch (report.ErrorKind)
            {
                case RequestErrorKind.Script:
                    return LogLevel.Error;
                case RequestErrorKind.Misc:
                    return LogLevel.Warning;
                default:
                    return LogLevel.Info;
            }
        }
    }
}
