using System;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
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
            : base(config.ReportError, ReportsLimit)
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
                SessionConfig config = Run<SessionHooks>(userData).config;
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
                SessionConfig config = Run<SessionHooks>(userData).config;
                var managed = new RemoteChange(Utf8.Read((byte*)change, changeLength));
                RemoteChangeResult result;
                try
                {
                    result = config.ProcessRemoteChange(
                        Utf8.Read((byte*)key, keyLength), new SaveData((SlSaveData*)data), managed);
                }
                finally
                {
                    managed.Release();
                }
                return result == RemoteChangeResult.Applied ? 0 : (int)SessionLockerStatus.NotApplicable;
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
                SessionConfig config = Run<SessionHooks>(userData).config;
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
                SessionHooks hooks = Run<SessionHooks>(userData);
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
                SessionHooks hooks = Run<SessionHooks>(userData);
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
