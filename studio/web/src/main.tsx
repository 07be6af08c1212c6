import { render } from 'preact';
import { App } from './app';
import { listenForKeys } from './keys';
import { listen } from './store';

const theme = localStorage.getItem('theme');
if (theme) document.documentElement.dataset['theme'] = theme;

let begun = false;
function begin(): void {
  if (begun) return;
  begun = true;
  render(<App />, document.getElementById('app')!);
  listenForKeys();
  listen();
}

// The frame that came with the page is painted first. A page that nobody sees has no frames.
requestAnimationFrame(() => setTimeout(begin));
setTimeout(begin, 100);
