using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Hears of the errors of a store, spec or sender as they happen, and keeps them until their events come, which say
    /// less.
    /// </summary>
    internal unsafe class ReportHook : HookData
    {
        /// <summary>How many reports wait for their events. More come only if nobody updates.</summary>
        private const int ReportsLimit = 1024;

        private static readonly ReportShape Delegate = OnReport;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        private readonly Action<ErrorReport> reportError;
        private readonly List<ErrorReport> reports = new List<ErrorReport>();

        public ReportHook(Action<ErrorReport> reportError)
        {
            this.reportError = reportError;
            Messages = new Dispatcher();
        }

        /// <summary>What the store, the lockers of the spec, or the sender have to say.</summary>
        public Dispatcher Messages { get; private set; }

        /// <summary>Whether somebody hears of errors by an event.</summary>
        public bool HasErrorListener { get; set; }

        /// <summary>The report that an event is about.</summary>
        public ErrorReport TakeReport(string key, string message)
        {
            lock (reports)
            {
                int at = reports.FindIndex(report => report.Key == key && report.Message == message);
                if (at < 0)
                {
                    return null;
                }
                ErrorReport found = reports[at];
                reports.RemoveAt(at);
                return found;
            }
        }

        private void Report(ErrorReport report)
        {
            lock (reports)
            {
                if (reports.Count == ReportsLimit)
                {
                    reports.RemoveAt(0);
                }
                reports.Add(report);
            }
            if (reportError != null)
            {
                reportError(report);
            }
            else if (!HasErrorListener)
            {
                Unheard.Report(report);
            }
        }

        [MonoPInvokeCallback(typeof(ReportShape))]
        private static void OnReport(IntPtr userData, IntPtr report)
        {
            ReportHook hook = null;
            try
            {
                hook = From<ReportHook>(userData);
                hook.Report(new ErrorReport((SlErrorReport*)report));
            }
            catch (Exception thrown)
            {
                if (hook != null)
                {
                    hook.Messages.Thrown(thrown);
                }
            }
        }
    }

    /// <summary>What the library calls of a store's or spec's configuration.</summary>
    internal sealed unsafe class SessionHooks : ReportHook
    {
        private static readonly CreateShape CreateDelegate = OnCreate;
        private static readonly RemoteChangeShape RemoteChangeDelegate = OnRemoteChange;
        private static readonly MergeShape MergeDelegate = OnMerge;
        private static readonly BeforeSaveShape BeforeSaveDelegate = OnBeforeSave;
        private static readonly BeforeSaveShape TransformDelegate = OnTransform;

        private readonly SessionConfig config;

        public SessionHooks(SessionConfig config)
            : base(config.ReportError)
        {
            this.config = config.Copy();
        }

        public void Fill(SlEasyStoreConfig* native)
        {
            native->user_data = Hold();
            native->create_save_data = config.CreateSaveData == null ? null : PointerOf(CreateDelegate);
            native->process_remote_change = config.ProcessRemoteChange == null ? null : PointerOf(RemoteChangeDelegate);
            native->merge_offline_save_data = config.MergeOfflineSaveData == null ? null : PointerOf(MergeDelegate);
            native->report_error = (void*)Pointer;
            native->drop = (void*)Drop;
        }

        public void Fill(SlLockerSpecConfig* native)
        {
            var spec = (LockerSpecConfig)config;
            native->user_data = Hold();
            native->create_save_data = config.CreateSaveData == null ? null : PointerOf(CreateDelegate);
            native->before_save = spec.BeforeSave == null ? null : PointerOf(BeforeSaveDelegate);
            native->before_save_transform = spec.BeforeSaveTransform == null ? null : PointerOf(TransformDelegate);
            native->process_remote_change = config.ProcessRemoteChange == null ? null : PointerOf(RemoteChangeDelegate);
            native->merge_offline_save_data = config.MergeOfflineSaveData == null ? null : PointerOf(MergeDelegate);
            native->report_error = (void*)Pointer;
            native->drop = (void*)Drop;
        }

        private static void* PointerOf(Delegate function)
        {
            return (void*)Marshal.GetFunctionPointerForDelegate(function);
        }

        [MonoPInvokeCallback(typeof(CreateShape))]
        private static int OnCreate(IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr data)
        {
            try
            {
                SessionConfig config = From<SessionHooks>(userData).config;
                config.CreateSaveData(Utf8.Read((byte*)key, keyLength), new SaveData((SlSaveData*)data));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(RemoteChangeShape))]
        private static int OnRemoteChange(
            IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr data, IntPtr change, UIntPtr changeLength)
        {
            try
            {
                SessionConfig config = From<SessionHooks>(userData).config;
                using (IDisposable disposable = new RemoteChange(Utf8.Read((byte*)change, changeLength)))
                {
                    RemoteChangeResult result = config.ProcessRemoteChange(
                        Utf8.Read((byte*)key, keyLength), new SaveData((SlSaveData*)data), (RemoteChange)disposable);
                    return result == RemoteChangeResult.Applied ? 0 : (int)SessionLockerStatus.NotApplicable;
                }
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(MergeShape))]
        private static int OnMerge(IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr offline, IntPtr data)
        {
            try
            {
                SessionConfig config = From<SessionHooks>(userData).config;
                config.MergeOfflineSaveData(
                    Utf8.Read((byte*)key, keyLength), new SaveData((SlSaveData*)offline), new SaveData((SlSaveData*)data));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(BeforeSaveShape))]
        private static int OnBeforeSave(IntPtr userData, IntPtr locker)
        {
            try
            {
                SessionHooks hooks = From<SessionHooks>(userData);
                ((LockerSpecConfig)hooks.config).BeforeSave((Locker)Sessions.Find(locker));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(BeforeSaveShape))]
        private static int OnTransform(IntPtr userData, IntPtr locker)
        {
            try
            {
                SessionHooks hooks = From<SessionHooks>(userData);
                ((LockerSpecConfig)hooks.config).BeforeSaveTransform((Locker)Sessions.Find(locker));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }
    }
}
