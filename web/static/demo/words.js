// What the bank says when something does not work: what happened, and what to do. Keyed by the reasons of the SDK and
// of Biocore's error catalogue; a reason that is not here is shown with the server's own message.

const words = {
  USER_CANCELLED: ["No passkey was used", "The prompt was closed, or no passkey fitted. Nothing has changed; try again when you like."],
  CREDENTIAL_EXISTS: ["This device has one already", "A passkey of yours is kept here. Sign in with it, or choose another device."],
  WEBAUTHN_UNSUPPORTED: ["No passkeys in this browser", "Use a current browser, on https or on localhost, or another device."],
  WEBAUTHN_FAILED: ["Your device could not do it", "It gave no reason. Try again, or use another device."],
  RP_ID_MISMATCH: ["Passkeys do not work at this address", "They belong to one site. Open the bank at its own address."],
  ORIGIN_NOT_ALLOWED: ["This is not the bank’s address", "Biocore answers pages of the bank’s own sites only, and this is none of them."],
  CREDENTIAL_UNKNOWN: ["The bank does not know this passkey", "It may belong to an account that is gone. Use another one, or open an account."],
  CREDENTIAL_REVOKED: ["This passkey was removed", "It no longer opens your account. Use another one."],
  CREDENTIAL_SUSPENDED: ["This passkey is suspended", "It will work again when the bank lifts it. Use another one until then."],
  SIGNATURE_INVALID: ["The passkey did not fit", "Its signature is not that of an account here. Use another one."],
  SIGN_COUNT_ROLLBACK: ["This passkey may have been copied", "Its counter went backwards, so the bank stopped the sign-in. Use another passkey, then remove this one."],
  RISK_RULE: ["This sign-in was stopped", "It did not look like you, by the bank’s rules. Try again from where you usually sign in, or call the bank."],
  RISK_SCORE: ["This sign-in looked too unusual", "The bank stopped it to be safe. Try again from where you usually sign in, or call the bank."],
  USER_VERIFICATION_REQUIRED: ["Your device did not check that it is you", "Set up a PIN, a fingerprint or your face on it, then try again."],
  USER_PRESENCE_REQUIRED: ["Nobody touched the device", "Touch it when it asks, then try again."],
  CREDENTIAL_NOT_ALLOWED: ["That passkey is for another account", "Use one of this account’s, or leave the email empty."],
  USER_HANDLE_MISMATCH: ["That passkey is for another account", "Use one of this account’s, or leave the email empty."],
  TOO_MANY_CREDENTIALS: ["You have as many passkeys as the bank allows", "Remove one that you no longer use, then add this one."],
  ALGORITHM_NOT_ALLOWED: ["The bank does not take this kind of passkey", "Use another device."],
  REGISTRATION_TOKEN_EXPIRED: ["That took too long", "The bank held your place for ten minutes. Try again."],
  REGISTRATION_TOKEN_ALREADY_USED: ["A passkey was made already", "Sign in with it."],
  USER_BLOCKED: ["This account is blocked", "Nobody can sign in to it for now."],
  CHALLENGE_EXPIRED: ["That took too long", "The question to your device was only good for a few minutes. Try again."],
  CHALLENGE_ALREADY_USED: ["That sign-in was used already", "Each one works once. Try again."],
  RATE_LIMITED: ["Too many tries", "Wait a moment, then try again."],
  OVERLOADED: ["Many people are signing in", "Wait a moment, then try again."],
  STORE_UNAVAILABLE: ["The bank cannot check passkeys right now", "Nothing has changed. Try again in a moment."],
  REDIS_UNAVAILABLE: ["The bank cannot make passkeys right now", "Nothing has changed. Try again in a moment."],
  TENANT_SUSPENDED: ["The bank is closed for now", "Its sign-ins are suspended. Nothing of yours is lost."],
  NETWORK: ["No connection", "The bank’s sign-in service could not be reached. Check your connection, then try again."],
  TIMEOUT: ["No answer in time", "The sign-in service is slow right now. Try again in a moment."],
};

/** Puts any error in words: {title, message, reason, field, tone}. To change one's mind is no failure, so it is not red. */
export function explain(error) {
  const reason = error.reason ?? "";
  const field = error.field ?? "";
  const tone = reason === "USER_CANCELLED" ? "info" : "bad";
  if (error.title !== undefined) return { title: error.title, message: error.message, reason, field, tone };
  const [title, message] = words[reason] ?? ["That did not work", `${sentence(error.message)} Try again.`];
  return { title, message, reason, field, tone };
}

function sentence(text) {
  const trimmed = (text || "Something went wrong").replace(/[.\s]+$/, "");
  return `${trimmed[0].toUpperCase()}${trimmed.slice(1)}.`;
}
