import { render } from 'preact';
import { App } from './app';
import { listenForKeys } from './keys';
import { listen } from './store';

const theme = localStorage.getItem('theme');
if (theme) document.documentElement.dataset['theme'] = theme;
render(<App />, document.getElementById('app')!);
listenForKeys();
listen();
