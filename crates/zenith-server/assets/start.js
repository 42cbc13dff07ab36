// The live stream is asked for while the rest of the page is still on its way.

import { followServer } from './live.js';

followServer();
