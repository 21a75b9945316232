/**
 * Biocore for JavaScript, without dependencies: {@link Biocore} runs passkey
 * ceremonies in the browser with a publishable key, {@link BiocoreServer} calls
 * the API from a server with a secret one.
 */
export { Biocore } from "./browser.js";
export type { BiocoreOptions, RegisterOptions, SignInOptions, WithExtensionResults } from "./browser.js";
export { BiocoreServer } from "./server.js";
export type {
  AccessTokenClaims,
  Authentications,
  BiocoreServerOptions,
  Credentials,
  ListOptions,
  RegistrationTokens,
  Sessions,
  UpdateOptions,
  Users,
  VerifyResult,
  Why,
} from "./server.js";
export { BiocoreError } from "./error.js";
export type { BiocoreErrorInit, ClientReason } from "./error.js";
export type { Call, CallOptions, TransportOptions } from "./transport.js";
export type * from "./resource.js";
