using System;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>The hook before a save of one profile.</summary>
    internal sealed unsafe class BeforeSaveHook : HookData
    {
        private static readonly BeforeSaveShape Delegate = OnBeforeSave;
        private static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        private readonly Profile profile;
        private readonly Action<Profile> action;

        public BeforeSaveHook(Profile profile, Action<Profile> action)
        {
            this.profile = profile;
            this.action = action;
        }

        public static void* PointerOf(BeforeSaveHook hook)
        {
            return hook == null ? null : (void*)Pointer;
        }

        public static void* DropOf(BeforeSaveHook hook)
        {
            return hook == null ? null : (void*)Drop;
        }

        public static void* Hold(BeforeSaveHook hook)
        {
            return hook == null ? null : hook.Hold();
        }

        [MonoPInvokeCallback(typeof(BeforeSaveShape))]
        private static int OnBeforeSave(IntPtr userData, IntPtr profile)
        {
            try
            {
                var hook = Run<BeforeSaveHook>(userData);
                hook.action(hook.profile);
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }
    }
}
