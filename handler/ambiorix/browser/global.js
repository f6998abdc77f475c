// parseCookie makes an object of cookies, as pages for the R framework expect.
function parseCookie(cookies = document.cookie) {
  const parsed = {};
  for (const cookie of cookies.split(";")) {
    const equals = cookie.indexOf("=");
    if (equals > 0) {
      parsed[decode(cookie.slice(0, equals))] = decode(cookie.slice(equals + 1));
    }
  }
  return parsed;
}

function decode(text) {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text.trim(); // a stray percent sign
  }
}

globalThis.Ambiorix = Ambiorix;
globalThis.parseCookie ??= parseCookie;
if (location.host !== "") {
  connectionTo().open(); // so that the first message need not wait for it
}
