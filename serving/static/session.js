// Which market the page shows: the live one, or a replay by ?session=.

export const session = new URLSearchParams(location.search).get('session') ?? '';

export function api(path) {
  return session ? `${path}${path.includes('?') ? '&' : '?'}session=${encodeURIComponent(session)}` : path;
}
