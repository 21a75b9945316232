// The resources of the auth plane, as their JSON is. Times are RFC 3339 in UTC.

/** A person who signs in at the relying party. */
export interface User {
  id: string;
  /** The relying party's own id for this person. */
  externalId: string;
  name: string;
  displayName?: string;
  state: "ACTIVE" | "BLOCKED";
  createdAt: string;
  updatedAt: string;
  lastSignInAt?: string;
  etag: string;
}

/** What names a user who may not exist yet. */
export interface UserInit {
  externalId: string;
  name: string;
  displayName?: string;
}

/** A passkey, as the server knows it. */
export interface Credential {
  /** WebAuthn's credential ID, base64url without padding. */
  id: string;
  userId: string;
  nickname: string;
  aaguid: string;
  /** Of the model or, where nobody knows it, of its sort. */
  authenticatorName: string;
  /** A PNG; empty where there is none. */
  authenticatorIconUrl: string;
  /** `usb`, `nfc`, `ble`, `internal`, `hybrid`, `smart-card`. */
  transports: string[];
  /** COSE algorithm identifier, such as -7 for ES256. */
  algorithm: number;
  signCount: number;
  discoverable: boolean;
  /** May be copied to other devices (BE). */
  backupEligible: boolean;
  /** Was, when it was last used (BS). */
  backedUp: boolean;
  state: "ACTIVE" | "SUSPENDED" | "REVOKED";
  createdAt: string;
  lastUsedAt?: string;
  revokedAt?: string;
  etag: string;
  /** What was said of extensions when it was registered. */
  extensions?: { prf?: boolean; largeBlob?: boolean; credProtect?: string };
}

/** Two inputs or outputs of a PRF, in base64url. */
export interface PRFValues {
  first: string;
  second?: string;
}

/** What a page may ask of extensions when it makes a passkey (WebAuthn L3 #sctn-defined-extensions). Binary is base64url. */
export interface CreationExtensions {
  prf?: { eval?: PRFValues };
  largeBlob?: { support?: "required" | "preferred" };
  credentialProtectionPolicy?: "userVerificationOptional" | "userVerificationOptionalWithCredentialIDList" | "userVerificationRequired";
  enforceCredentialProtectionPolicy?: boolean;
}

/** What a page may ask of extensions when somebody signs in. Binary is base64url. */
export interface RequestExtensions {
  /** `evalByCredential` only where the sign-in names a user. */
  prf?: { eval?: PRFValues; evalByCredential?: Record<string, PRFValues> };
  largeBlob?: { read?: boolean; write?: string };
}

/** What the extensions answered, in base64url. PRF results and blobs are the page's: they are not sent to Biocore. */
export interface ExtensionResults {
  credProps?: { rk?: boolean };
  prf?: { enabled?: boolean; results?: PRFValues };
  largeBlob?: { supported?: boolean; blob?: string; written?: boolean };
  [extension: string]: unknown;
}

/** Authentication assurance level (NIST SP 800-63B-4). */
export type Aal = "AAL1" | "AAL2" | "AAL3";

/** A signed-in user's session. */
export interface Session {
  id: string;
  userId: string;
  credentialId: string;
  aal: Aal;
  ip: string;
  userAgent: string;
  createdAt: string;
  lastUsedAt: string;
  /** When it ends and cannot be refreshed any more. */
  expiresAt: string;
  revokedAt?: string;
  /** Only in an answer that issues a session: a JWT. */
  accessToken?: string;
  accessTokenExpiresAt?: string;
  /** Only in an answer that issues a session, and only to a server key. */
  refreshToken?: string;
}

/** How strong a sign-in was. */
export interface Assurance {
  aal: Aal;
  userVerified: boolean;
  phishingResistant: boolean;
  backedUp: boolean;
  /** Why the level is not the next one, such as `KEY_EXPORTABLE`; empty at AAL3. */
  reasons: string[];
}

/** What a user who must do more is asked for. */
export interface StepUp {
  kind: "USER_VERIFICATION";
  /** Goes as `stepUpToken` into the next sign-in. */
  token: string;
  expiresAt: string;
}

/** What an authenticator said of itself when it made a credential. */
export interface Attestation {
  format: string;
  aaguid: string;
  authenticatorName: string;
}

/** The end of a registration ceremony. */
export interface RegistrationResult {
  user: User;
  credential: Credential;
  attestation: Attestation;
}

/**
 * The end of an authentication ceremony. A valid signature is not yet a
 * sign-in: look at `decision`. A publishable key gets a `code` for the server
 * part to exchange (60 s, once); a server key, or a tenant that allows it, gets
 * the `session`.
 */
export interface AuthenticationResult {
  user: User;
  credential: Credential;
  decision: "ALLOW" | "STEP_UP" | "DENY";
  /** Why not `ALLOW`, as a reason of the error catalogue. */
  decisionReason?: string;
  session?: Session;
  code?: string;
  stepUp?: StepUp;
  assurance: Assurance;
}

/** What a code is exchanged for. */
export interface ExchangeResult {
  user: User;
  credential: Credential;
  session: Session;
  assurance: Assurance;
}

/** What the browser's Signal API needs to tidy up a user's authenticators: pass each part to the method of its name. */
export interface Signals {
  allAcceptedCredentials: AllAcceptedCredentials;
  currentUserDetails: CurrentUserDetails;
}

/** AllAcceptedCredentialsOptions (WebAuthn L3 #dictdef-allacceptedcredentialsoptions). */
export interface AllAcceptedCredentials {
  rpId: string;
  /** The user handle, base64url. */
  userId: string;
  allAcceptedCredentialIds: string[];
}

/** CurrentUserDetailsOptions (WebAuthn L3 #dictdef-currentuserdetailsoptions). */
export interface CurrentUserDetails {
  rpId: string;
  /** The user handle, base64url. */
  userId: string;
  name: string;
  displayName: string;
}

/** One page of a list; an empty token means the last one. */
export interface Page {
  nextPageToken: string;
}

export interface UserPage extends Page {
  users: User[];
}

export interface CredentialPage extends Page {
  credentials: Credential[];
}

export interface SessionPage extends Page {
  sessions: Session[];
}
