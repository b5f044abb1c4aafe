using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>The type of a value in save data.</summary>
    public enum SaveDataType
    {
        /// <summary><c>null</c>.</summary>
        Null = NativeMethods.SL_VALUE_NULL,
        /// <summary><c>true</c> or <c>false</c>.</summary>
        Boolean = NativeMethods.SL_VALUE_BOOL,
        /// <summary>A number without fraction or exponent that fits 64 bits.</summary>
        Integer = NativeMethods.SL_VALUE_INTEGER,
        /// <summary>Any other number.</summary>
        Float = NativeMethods.SL_VALUE_FLOAT,
        /// <summary>A string.</summary>
        String = NativeMethods.SL_VALUE_STRING,
        /// <summary>An array.</summary>
        Array = NativeMethods.SL_VALUE_ARRAY,
        /// <summary>An object.</summary>
        Object = NativeMethods.SL_VALUE_OBJECT,
    }

    /// <summary>Whose fault a failure is, and whether trying again helps.</summary>
    public enum RequestErrorKind
    {
        /// <summary>The game's own: code or configuration. Trying again does not help.</summary>
        Script = NativeMethods.SL_REQUEST_ERROR_SCRIPT,
        /// <summary>Unknown, or perhaps it passes.</summary>
        Misc = NativeMethods.SL_REQUEST_ERROR_MISC,
        /// <summary>The backend's: its limits, its network, its outages. It is tried again.</summary>
        Backend = NativeMethods.SL_REQUEST_ERROR_BACKEND,
    }

    /// <summary>A step of the life of a session.</summary>
    public enum Lifecycle
    {
        /// <summary>The save data was replaced; the reason says by what.</summary>
        Replaced = NativeMethods.SL_LIFECYCLE_REPLACED,
        /// <summary>The save data is in the storage.</summary>
        Saved = NativeMethods.SL_LIFECYCLE_SAVED,
        /// <summary>No session is held and nothing is under way.</summary>
        Idling = NativeMethods.SL_LIFECYCLE_IDLING,
        /// <summary>The locker was deleted.</summary>
        Deleted = NativeMethods.SL_LIFECYCLE_DELETED,
        /// <summary>The profile was ended by the host.</summary>
        Destroyed = NativeMethods.SL_LIFECYCLE_DESTROYED,
        /// <summary>The last a profile says: its session is over and its key released.</summary>
        Finished = NativeMethods.SL_LIFECYCLE_FINISHED,
    }

    /// <summary>Why the save data was replaced.</summary>
    public enum Reason
    {
        /// <summary>It was not.</summary>
        None = NativeMethods.SL_REASON_NONE,
        /// <summary><c>r_loaded</c>: by the player's save data, from the storage.</summary>
        Loaded = NativeMethods.SL_REASON_LOADED,
        /// <summary><c>r_released</c>: by the default; the session was ended willingly, or has not begun.</summary>
        Released = NativeMethods.SL_REASON_RELEASED,
        /// <summary><c>r_lost</c>: by the default; another server owns the key, or the record is gone.</summary>
        Lost = NativeMethods.SL_REASON_LOST,
    }

    /// <summary>How far loading has come.</summary>
    public enum LoadStatus
    {
        /// <summary>Waiting for the key.</summary>
        Loading = NativeMethods.SL_LOAD_STATUS_LOADING,
        /// <summary>A storage request failed; it is asked again after a cooldown.</summary>
        DataStoreRequestFail = NativeMethods.SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL,
        /// <summary>Another owner holds the key; it is asked for again after the cooldown.</summary>
        SessionIsLocked = NativeMethods.SL_LOAD_STATUS_SESSION_IS_LOCKED,
        /// <summary>The document is of a version this server does not understand. Final.</summary>
        InvalidVersion = NativeMethods.SL_LOAD_STATUS_INVALID_VERSION,
        /// <summary>The session is ours, and the save data is the player's.</summary>
        Loaded = NativeMethods.SL_LOAD_STATUS_LOADED,
        /// <summary>The stored bytes are not a document. Final.</summary>
        CorruptData = NativeMethods.SL_LOAD_STATUS_CORRUPT_DATA,
        /// <summary>A migrator or patcher failed. Final.</summary>
        MigrationFailed = NativeMethods.SL_LOAD_STATUS_MIGRATION_FAILED,
        /// <summary>A new document could not be created. Final.</summary>
        CreateFailed = NativeMethods.SL_LOAD_STATUS_CREATE_FAILED,
        /// <summary>The record was erased while its session was live or its key was asked for. Final.</summary>
        Erased = NativeMethods.SL_LOAD_STATUS_ERASED,
    }

    /// <summary>How a wait for changes has ended.</summary>
    public enum SaveOutcome
    {
        /// <summary>It has not: there is no answer.</summary>
        None = -1, // The generator leaves out constants that are negative.
        /// <summary>The session ended without the changes.</summary>
        NotSaved = NativeMethods.SL_OUTCOME_NOT_SAVED,
        /// <summary>The changes are in the storage.</summary>
        Saved = NativeMethods.SL_OUTCOME_SAVED,
        /// <summary>
        /// Nobody knows: a commit that contains the changes is not answered, and the store was disposed or its
        /// drain has run out of time; or the session was lost, and the record does not tell any more whether
        /// that commit was written.
        /// </summary>
        Unknown = NativeMethods.SL_OUTCOME_UNKNOWN,
    }

    /// <summary>How a send of remote changes has ended.</summary>
    public enum SendOutcome
    {
        /// <summary>The changes are in the storage, in the inbox of their record or applied by its owner.</summary>
        Sent = NativeMethods.SL_SEND_SENT,
        /// <summary>There is no record, and none was to be made; or it was erased meanwhile.</summary>
        Missing = NativeMethods.SL_SEND_MISSING,
        /// <summary>The record's inbox has no room for them. Nothing was written.</summary>
        InboxFull = NativeMethods.SL_SEND_INBOX_FULL,
        /// <summary>The sender was disposed, or a day has passed, and nothing was written.</summary>
        NotSent = NativeMethods.SL_SEND_NOT_SENT,
        /// <summary>The same, with an attempt whose fate is not known.</summary>
        Unknown = NativeMethods.SL_SEND_UNKNOWN,
        /// <summary>What is stored under the key is no document. It stays as it is.</summary>
        CorruptData = NativeMethods.SL_SEND_CORRUPT_DATA,
    }

    /// <summary>What was being done when something failed.</summary>
    public enum Activity
    {
        /// <summary>Acquiring a key.</summary>
        Load = NativeMethods.SL_ACTIVITY_LOAD,
        /// <summary>Saving or releasing.</summary>
        Save = NativeMethods.SL_ACTIVITY_SAVE,
        /// <summary>Making a new document.</summary>
        Create = NativeMethods.SL_ACTIVITY_CREATE,
        /// <summary>Running migrators and patchers.</summary>
        Migrate = NativeMethods.SL_ACTIVITY_MIGRATE,
        /// <summary>Running a before-save hook.</summary>
        BeforeSave = NativeMethods.SL_ACTIVITY_BEFORE_SAVE,
        /// <summary>Applying a remote change.</summary>
        RemoteChange = NativeMethods.SL_ACTIVITY_REMOTE_CHANGE,
        /// <summary>Merging what was written before the load.</summary>
        Merge = NativeMethods.SL_ACTIVITY_MERGE,
        /// <summary>Running the process function of a purchase.</summary>
        Purchase = NativeMethods.SL_ACTIVITY_PURCHASE,
        /// <summary>Sending remote changes.</summary>
        Send = NativeMethods.SL_ACTIVITY_SEND,
    }

    /// <summary>How much a log message matters.</summary>
    public enum LogLevel
    {
        /// <summary>The steps of a session, with verbose logs.</summary>
        Debug = NativeMethods.SL_LOG_DEBUG,
        /// <summary>What passes by itself.</summary>
        Info = NativeMethods.SL_LOG_INFO,
        /// <summary>What someone should look at.</summary>
        Warning = NativeMethods.SL_LOG_WARNING,
        /// <summary>A mistake in code or configuration.</summary>
        Error = NativeMethods.SL_LOG_ERROR,
    }

    /// <summary>A setting that has a default for the whole process.</summary>
    public enum ConfigValue
    {
        /// <summary>Verbose logs: 0 or 1 (0).</summary>
        VerboseLogs = NativeMethods.SL_CONFIG_VERBOSE_LOGS,
        /// <summary>The storage is read but never written: 0 or 1 (0).</summary>
        ReadOnlyDataStores = NativeMethods.SL_CONFIG_READ_ONLY_DATA_STORES,
        /// <summary>The longest that a session goes without a save, in seconds (300).</summary>
        MaintainSessionPeriod = NativeMethods.SL_CONFIG_MAINTAIN_SESSION_PERIOD,
        /// <summary>How long a session that stopped saving keeps its key, in seconds (1800).</summary>
        SessionExpiry = NativeMethods.SL_CONFIG_SESSION_EXPIRY,
        /// <summary>The wait before a locked key is asked for again, in seconds (10).</summary>
        SessionRetryCooldown = NativeMethods.SL_CONFIG_SESSION_RETRY_COOLDOWN,
        /// <summary>How many purchases a document remembers (100).</summary>
        PurchaseHistoryLimit = NativeMethods.SL_CONFIG_PURCHASE_HISTORY_LIMIT,
    }

    /// <summary>Whose errors go to a reporter of the whole process.</summary>
    public enum Reporter
    {
        /// <summary>Those of lockers, also of those beneath a store.</summary>
        Lockers = NativeMethods.SL_REPORTER_LOCKERS,
        /// <summary>Those of remote-change senders.</summary>
        Senders = NativeMethods.SL_REPORTER_SENDERS,
    }

    /// <summary>What a hook for remote changes has to say.</summary>
    public enum RemoteChangeResult
    {
        /// <summary>The change is applied, and leaves the inbox in the same commit.</summary>
        Applied,
        /// <summary>
        /// It cannot be applied here, for its kind is not known. What was written is undone; the change stays
        /// in the inbox and is offered again at the next load.
        /// </summary>
        NotApplicable,
    }

    /// <summary>What a process function is called for.</summary>
    public enum ProductOp
    {
        /// <summary>
        /// Asks whether the product can be applied, and to whom: see <see cref="ProductCall.RecipientProfile"/>.
        /// </summary>
        Validate = NativeMethods.SL_PRODUCT_OP_VALIDATE,
        /// <summary>
        /// Applies the product by writing to <see cref="ProductCall.SaveData"/>, and to no other save data.
        /// Unless it is applied, what was written is undone.
        /// </summary>
        Apply = NativeMethods.SL_PRODUCT_OP_APPLY,
        /// <summary>
        /// Notes in the purchaser's save data what is to be known of each purchase, such as what was spent.
        /// Any result but <see cref="ProductResult.Ok"/> counts as a failure here.
        /// </summary>
        Record = NativeMethods.SL_PRODUCT_OP_RECORD,
    }

    /// <summary>What a process function has to say. An exception means: it has failed, ask again later.</summary>
    public enum ProductResult
    {
        /// <summary>The product can be applied, is applied, or is recorded.</summary>
        Ok,
        /// <summary>It cannot be applied, and becomes credit; a gift is answered with no.</summary>
        NotApplicable,
        /// <summary>
        /// Not now (the friend whom the gift was for has left); for <see cref="ProductOp.Validate"/> only. The
        /// purchase is answered with no, and nothing is written.
        /// </summary>
        NotNow,
    }

    /// <summary>What must be true of a key for a commit or an erasure to go through.</summary>
    public enum Expected
    {
        /// <summary>Its record is there, at the given revision.</summary>
        Present = NativeMethods.SL_EXPECTED_PRESENT,
        /// <summary>There is no record; the revision is that of its erasure, or empty.</summary>
        Absent = NativeMethods.SL_EXPECTED_ABSENT,
        /// <summary>Nothing. Only an erasure says this.</summary>
        Any = NativeMethods.SL_EXPECTED_ANY,
    }
}
